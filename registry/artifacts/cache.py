"""A cache of loaded things, bounded by the memory that they take."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class _Entry(Generic[V]):
    value: V
    cost_bytes: int
    users: int = 0


class BoundedCache(Generic[K, V]):
    """The least recently used go first. The newest always stays, however large it is, and so does what is in use:
    letting go of it would free nothing, and the next to ask would load it a second time beside itself.

    >>> cache = BoundedCache[str, str](max_bytes=10)
    >>> [cache.get(key, lambda: ("v", 6)) for key in "aba"]
    ['v', 'v', 'v']
    >>> cache.total_bytes
    6
    """

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.total_bytes = 0
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, load: Callable[[], tuple[V, int]]) -> V:
        """The value under the key, loaded as (value, cost in bytes) if absent. One load at a time runs.

        Whoever asks for something that is here never waits for a load. A load that raises leaves nothing.
        """
        return self._entry(key, load).value

    @contextmanager
    def using(self, key: K, load: Callable[[], tuple[V, int]]) -> Iterator[V]:
        """The same, kept for as long as the block runs."""
        entry = self._entry(key, load, users=1)
        try:
            yield entry.value
        finally:
            with self._lock:
                entry.users -= 1
                self._shrink()

    def held(self) -> list[K]:
        """The keys of everything that is here, the least recently used first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.total_bytes = 0

    def _entry(self, key: K, load: Callable[[], tuple[V, int]], *, users: int = 0) -> _Entry[V]:
        if (entry := self._hit(key, users)) is not None:
            return entry
        with self._loading:
            if (entry := self._hit(key, users)) is not None:  # loaded by the thread that was waited for
                return entry
            entry = _Entry(*load(), users)
            with self._lock:
                self._entries[key] = entry
                self.total_bytes += entry.cost_bytes
                self._shrink()
            return entry

    def _hit(self, key: K, users: int) -> _Entry[V] | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                entry.users += users
                self._entries.move_to_end(key)
            return entry

    def _shrink(self) -> None:
        """Under the lock: let go of the oldest that nobody uses until the rest fits."""
        if self.total_bytes <= self.max_bytes:
            return
        for key in list(self._entries)[:-1]:
            if self.total_bytes <= self.max_bytes:
                return
            if not self._entries[key].users:
                self.total_bytes -= self._entries.pop(key).cost_bytes
