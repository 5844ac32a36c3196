"""When windows are judged: on schedule, and in between as soon as enough is new."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.scored import Floats

STEPS = (1, 2, 3, 4, 6, 12)  # of an hour, that can be simulated
FINEST = 96  # steps of a window: neighbours that share 99 % of their rows say the same
SHARE = 50  # of a window's rows, one in so many must be new before a look in between
NEW_A_ROW = 2  # an answer and its label: both count as new


class Schedule(NamedTuple):
    """A window of the last `window_hours` is judged every `every_hours`, and in between once `check_after` answers and
    labels, and a fiftieth of the window's rows, are new; 0: not in between. Below `min_rows` it is not judged."""

    window_hours: float = 24.0
    min_rows: int = 100
    every_hours: float = 1.0
    check_after: int = 0

    def steps_an_hour(self, rows: Floats) -> int:
        """Into how many steps an hour is parted so that looks can be told apart, at mean rows by hour of the day."""
        wanted = max(1 / self.every_hours, 1 / self.window_hours)
        if self.check_after:
            needed = max(self.check_after, float(rows.mean()) * self.window_hours / SHARE)
            wanted = max(wanted, NEW_A_ROW * float(rows.max()) / needed)
        wanted = min(wanted, FINEST / self.window_hours)
        return next((steps for steps in STEPS if steps >= wanted - 1e-9), STEPS[-1])

    def window_steps(self, steps: int) -> int:
        return max(1, round(self.window_hours * steps))

    def every_steps(self, steps: int) -> int:
        return max(1, int(self.every_hours * steps + 1e-9))


class Looks(NamedTuple):
    """The windows (L,) that are judged, by their place, and which of them are on schedule (L,)."""

    at: NDArray[np.int64]
    scheduled: NDArray[np.bool_]


def looks(schedule: Schedule, steps: int, new: NDArray[Any], sums: Floats) -> Looks:
    """Of W windows that end a step after each other: `new` (W,) rows came in the last step, `sums` (W,) in all of it.

    >>> looks(Schedule(1, 1, 1.0, 10), 2, np.full(6, 4.0), np.full(6, 8.0))
    Looks(at=array([0, 2, 4]), scheduled=array([ True,  True,  True]))
    >>> looks(Schedule(1, 1, 2.0, 10), 2, np.full(6, 4.0), np.full(6, 8.0)).at.tolist()
    [0, 2, 4]
    """
    every = schedule.every_steps(steps)
    on_time = np.arange(len(new)) % every == 0
    if not schedule.check_after:
        at = np.flatnonzero(on_time)
        return Looks(at, np.ones(len(at), dtype=np.bool_))
    chosen, since, last = [], 0.0, float("inf")
    for place, (rows, total, is_due) in enumerate(zip(new.tolist(), sums.tolist(), on_time.tolist(), strict=True)):
        since += NEW_A_ROW * rows
        if is_due or (since >= schedule.check_after and since * SHARE >= last):
            chosen.append(place)
            since, last = 0.0, total
    at = np.array(chosen, dtype=np.int64)
    return Looks(at, on_time[at])
