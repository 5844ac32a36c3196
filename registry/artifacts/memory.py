"""How much memory a loaded model takes."""

from __future__ import annotations

import pickle
from typing import Any

import psutil


class _Counter:
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.bytes += size
        return size


def size_of(model: object) -> int:
    """The arrays and values that a model holds, in bytes; 0 for one that does not say.

    Written as a pickle, which nobody reads: it holds each array once, as it is in memory. How much the process grew
    would tell less: what an earlier model has freed is taken again, and the first load imports its libraries.
    """
    counter = _Counter()
    try:
        pickle.Pickler(counter, protocol=5).dump(model)
    except Exception:  # whatever an estimator's own __getstate__ raises, or a session that cannot be pickled
        return 0
    return counter.bytes


def resident_bytes() -> int:
    """What this process holds now."""
    return int(psutil.Process().memory_info().rss)
