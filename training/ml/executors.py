"""Where the parts of a large table are worked on: here, or on a Dask cluster. The same functions, in the same order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

A = TypeVar("A")
B = TypeVar("B")
TRIES, PAUSE_SECS = 3, 0.5


class Executor(Protocol):
    """Does a pure function of a module to each item. Items are taken as results are: few are in memory at once, fewer
    with `ahead` 0, where workers wait for the next item and none waits for them."""

    def map(self, function: Callable[[A], B], items: Iterable[A], *, ahead: int = 1) -> Iterator[B]: ...


class Here:
    """In this process, one item after the other."""

    def map(self, function: Callable[[A], B], items: Iterable[A], *, ahead: int = 1) -> Iterator[B]:
        return map(function, items)


class OnDask:
    """On the workers of a Dask cluster. Items are sent with the work, so that workers need not see this machine's
    files; at most `ahead` more than there are threads are under way or wait. One that was with a worker that was lost
    is sent again: a worker that grew beyond its memory over other work is started anew and does it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def map(self, function: Callable[[A], B], items: Iterable[A], *, ahead: int = 1) -> Iterator[B]:
        room = ahead + max(1, sum(self._client.nthreads().values()))
        pending: deque[tuple[A, Any]] = deque()
        for item in items:
            if len(pending) == room:
                yield self._result(function, *pending.popleft())
            pending.append((item, self._sent(function, item)))
            del item  # else the last one stays with us
        while pending:
            yield self._result(function, *pending.popleft())

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

    def _result(self, function: Callable[[A], B], item: A, future: Any) -> B:
        """Of an item, sent up to `TRIES` times."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        for _ in range(TRIES - 1):
            try:
                result: B = self._client.gather(future)
            except (FutureCancelledError, KilledWorker):
                future = self._sent(function, item)
            else:
                return result
        last: B = self._client.gather(future)
        return last


@contextmanager
def on_dask(address: str, *, processes: int, memory_mb: int) -> Iterator[OnDask]:
    """The cluster at the scheduler's address; without one, a local one of so many processes, each of so much memory."""
    import distributed  # the extra `dask`; takes a second

    found: Any = distributed
    if address:
        with found.Client(address, set_as_default=False) as client:
            yield OnDask(client)
        return
    limits = {"n_workers": processes, "threads_per_worker": 1, "memory_limit": f"{memory_mb}MiB"}
    with (
        found.LocalCluster(**limits, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        found.Client(cluster, set_as_default=False) as client,
    ):
        yield OnDask(client)
