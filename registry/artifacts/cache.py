"""A cache of loaded things, bounded by the memory that they are thought to take."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    value: V
    cost_bytes: int


class BoundedCache(Generic[V]):
    """The least recently used go first; the newest always stays, however large it is.

    >>> cache = BoundedCache[str](max_bytes=10)
    >>> [cache.get(key, lambda: ("v", 6)) for key in "aba"]
    ['v', 'v', 'v']
    >>> cache.total_bytes
    6
    """

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.total_bytes = 0
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, load: Callable[[], tuple[V, int]]) -> V:
        """The value under the key, loaded as (value, cost in bytes) if absent. One load at a time runs.

        Whoever asks for something that is here never waits for a load. A load that raises leaves nothing.
        """
        if (entry := self._hit(key)) is not None:
            return entry.value
        with self._loading:
            if (entry := self._hit(key)) is not None:  # loaded by the thread that was waited for
                return entry.value
            entry = _Entry(*load())
            self._keep(key, entry)
            return entry.value

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.total_bytes = 0

    def _hit(self, key: Hashable) -> _Entry[V] | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def _keep(self, key: Hashable, entry: _Entry[V]) -> None:
        with self._lock:
            self._entries[key] = entry
            self.total_bytes += entry.cost_bytes
            while self.total_bytes > self.max_bytes and len(self._entries) > 1:
                self.total_bytes -= self._entries.popitem(last=False)[1].cost_bytes
