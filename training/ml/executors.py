"""Where the parts of a large table are worked on: here, or on a Dask cluster. The same functions, in the same order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

from training.ml.laid import Laid

A = TypeVar("A")
B = TypeVar("B")
TRIES, PAUSE_SECS = 3, 0.5
# Of its last messages Dask keeps so many for its developers: 1,000 would be hundreds of MB of fitted columns.
_LOGS = {"distributed.admin.low-level-log-length": 20}


class Kept(Protocol):
    """Tuples that a function has made of items, in files where they were made."""

    def map(self, function: Callable[..., B]) -> Iterator[B]:
        """`function(*each)` in order, on the executor."""
        ...


class Executor(Protocol):
    """Does a pure function of a module to each item. Items are taken as results are: few are in memory at once, fewer
    with `ahead` 0, where workers wait for the next item and none waits for them."""

    def map(self, function: Callable[[A], B], items: Iterable[A], *, ahead: int = 1) -> Iterator[B]: ...

    def keep(self, function: Callable[[A], tuple[Any, ...]], items: Callable[[], Iterable[A]]) -> Kept:
        """Results that are not fetched but worked on where they are, as often as wanted. `items` is asked again for
        those of which the result is lost."""
        ...


class Here:
    """In this process, one item after the other."""

    def map(self, function: Callable[[A], B], items: Iterable[A], *, ahead: int = 1) -> Iterator[B]:
        return map(function, items)

    def keep(self, function: Callable[[A], tuple[Any, ...]], items: Callable[[], Iterable[A]]) -> KeptHere:
        return KeptHere([Laid(function(item)) for item in items()])


class KeptHere(NamedTuple):
    """Files of this process."""

    parts: list[Laid[tuple[Any, ...]]]

    def map(self, function: Callable[..., B]) -> Iterator[B]:
        return (_on_laid(function, part) for part in self.parts)


class OnDask:
    """On the workers of a Dask cluster. Items are sent with the work, so that workers need not see this machine's
    files; at most `ahead` more than there are threads are under way or wait. One that was with a worker that was lost
    is sent again: a worker that grew beyond its memory over other work is started anew and does it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def map(self, function: Callable[[A], B], items: Iterable[A], *, ahead: int = 1) -> Iterator[B]:
        return self._each(function, items, self._client.gather, ahead)

    def keep(self, function: Callable[[A], tuple[Any, ...]], items: Callable[[], Iterable[A]]) -> KeptOnDask:
        return KeptOnDask(self, partial(_laid, function), items)

    def kept(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[Any]:
        """For each item the future of its result, once it is there."""
        return self._each(function, items, _there, 1)

    def on_kept(self, function: Callable[..., B], future: Any) -> Any:
        """The future of what a function makes of the result of another."""
        return self._client.submit(function, future, pure=False)

    def _each(
        self, function: Callable[[A], B], items: Iterable[A], take: Callable[[Any], Any], ahead: int
    ) -> Iterator[Any]:
        room = ahead + max(1, sum(self._client.nthreads().values()))
        pending: deque[tuple[A, Any]] = deque()
        for item in items:
            if len(pending) == room:
                yield self._result(function, *pending.popleft(), take)
            pending.append((item, self._sent(function, item)))
            del item  # else the last one stays with us
        while pending:
            yield self._result(function, *pending.popleft(), take)

    def _sent(self, function: Callable[[A], B], item: A) -> Any:
        """The work on its way; a worker that is lost while an item is sent to it breaks the line."""
        for _ in range(TRIES - 1):
            try:
                return self._submitted(function, item)
            except OSError:
                time.sleep(PAUSE_SECS)
        return self._submitted(function, item)

    def _submitted(self, function: Callable[[A], B], item: A) -> Any:
        sent = self._client.scatter([item], hash=False, broadcast=False)[0]
        return self._client.submit(function, sent, pure=False)

    def _result(self, function: Callable[[A], B], item: A, future: Any, take: Callable[[Any], Any]) -> Any:
        """Of an item, sent up to `TRIES` times."""
        for _ in range(TRIES - 1):
            try:
                return take(future)
            except _lost():
                future = self._sent(function, item)
        return take(future)


class KeptOnDask:
    """Files of the workers."""

    def __init__(self, on: OnDask, function: Callable[[Any], Any], items: Callable[[], Iterable[Any]]) -> None:
        self._on, self._function, self._items = on, function, items
        self._parts = list(on.kept(function, items()))

    def map(self, function: Callable[..., B]) -> Iterator[B]:
        work = partial(_on_laid, function)
        under_way = [self._on.on_kept(work, part) for part in self._parts]
        for place in range(len(under_way)):
            yield self._result(work, place, under_way[place])
            under_way[place] = None  # its result need not wait for the others'

    def _result(self, work: Callable[[Any], B], place: int, future: Any) -> B:
        """What is lost with its worker is made of its item again."""
        for _ in range(TRIES - 1):
            try:
                result: B = future.result()
            except _lost():
                self._parts[place] = next(self._on.kept(self._function, islice(self._items(), place, place + 1)))
                future = self._on.on_kept(work, self._parts[place])
            else:
                return result
        last: B = future.result()
        return last


def _laid(function: Callable[[A], B], item: A) -> Laid[B]:
    return Laid(function(item))


def _on_laid(function: Callable[..., B], part: Laid[tuple[Any, ...]]) -> B:
    return function(*part.read())


def _there(future: Any) -> Any:
    """The future itself, when it has a result; raises what `gather` would."""
    problem = future.exception()  # waits
    if problem is not None:
        raise problem
    return future


def _lost() -> tuple[type[BaseException], ...]:
    """What says that a worker was lost with what it had."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    return FutureCancelledError, KilledWorker


@contextmanager
def on_dask(address: str, *, processes: int, memory_mb: int) -> Iterator[OnDask]:
    """The cluster at the scheduler's address; without one, a local one of so many processes, each of so much memory."""
    import dask
    import distributed  # the extra `dask`; takes a second

    found: Any = distributed
    with dask.config.set(_LOGS), _client(found, address, processes, memory_mb) as client:
        yield OnDask(client)


@contextmanager
def _client(found: Any, address: str, processes: int, memory_mb: int) -> Iterator[Any]:
    if address:
        with found.Client(address, set_as_default=False) as client:
            yield client
        return
    limits = {"n_workers": processes, "threads_per_worker": 1, "memory_limit": f"{memory_mb}MiB"}
    with (
        found.LocalCluster(**limits, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        found.Client(cluster, set_as_default=False) as client,
    ):
        yield client
