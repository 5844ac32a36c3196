"""Where the parts of a large table are worked on: here, or on a Dask cluster. The same functions, in the same order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Executor(Protocol):
    """Does a pure function of a module to each item. Items are taken as results are: few are in memory at once."""

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]: ...


class Here:
    """In this process, one item after the other."""

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        return map(function, items)


class OnDask:
    """On the workers of a Dask cluster. Items are sent with the work, so that workers need not see this machine's
    files; at most one more than there are threads is under way or waits."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        room = 1 + max(1, sum(self._client.nthreads().values()))
        pending: deque[Any] = deque()
        for item in items:
            if len(pending) == room:
                yield self._client.gather(pending.popleft())
            sent = self._client.scatter([item], hash=False, broadcast=False)[0]
            pending.append(self._client.submit(function, sent, pure=False))
            del item, sent  # else the last one stays with us, and its future keeps it with a worker
        while pending:
            yield self._client.gather(pending.popleft())


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
        found.LocalCluster(**limits, host="127.0.0.1", dashboard_address=None) as cluster,
        found.Client(cluster, set_as_default=False) as client,
    ):
        yield OnDask(client)
