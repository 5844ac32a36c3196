"""What a piece of work takes, in time and memory. Standard library only: two environments use it."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PROCESS = Path("/proc/self")


class Taken(NamedTuple):
    """Wall-clock and processor seconds, and MB of memory held at the most beyond those at the start."""

    wall_secs: float
    cpu_secs: float
    peak_mb: float


def measured(work: Callable[[], Any]) -> tuple[Any, Taken]:
    """The work's result and what it took. Linux: the kernel keeps the highest resident size, exactly."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed before would be taken again and not be seen
    (PROCESS / "clear_refs").write_text("5")
    before, started, cpu = _highest_mb(), time.perf_counter(), time.process_time()
    result = work()
    spent = time.perf_counter() - started, time.process_time() - cpu
    return result, Taken(*spent, _highest_mb() - before)


def _highest_mb() -> float:
    lines = (PROCESS / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
