"""Counts between fixed edges, for counters that only grow: how fast answers are, and how late labels come."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np

from mlops_site.stats.bins import Counts
from monitoring.stats.shape import LATENCY_EDGES

# Three to a factor of ten, from 0.1 ms to 10 s: edges that the tally has too, so that its counts add up to these.
_STEPS = (40, 46, 54, 60, 66, 74, 80, 86, 94, 100, 106, 114, 120, 126, 134, 140)
_PLACES = tuple(int(np.searchsorted(LATENCY_EDGES, round(10 ** (step / 20)))) for step in _STEPS)
LATENCY_SECS: tuple[float, ...] = tuple(int(LATENCY_EDGES[place]) / 1e6 for place in _PLACES)
HOUR, DAY = 3600.0, 86_400.0
LAG_SECS: tuple[float, ...] = (HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 60 * DAY, 90 * DAY, 180 * DAY)


def coarse(latency: Counts) -> list[int]:
    """Answers up to each edge of LATENCY_SECS and above the edge before, and beyond the last, from a tally's counts.

    >>> fine = np.zeros(162, dtype=np.int64)
    >>> fine[41] = 7  # above 1.00 ms, up to 1.12 ms
    >>> coarse(fine)[:6], sum(coarse(fine))
    ([0, 0, 0, 0, 7, 0], 7)
    """
    upto = np.cumsum(latency)
    reached = [int(upto[place]) for place in _PLACES]
    return _apart([*reached, int(upto[-1])])


def lags(secs: Iterable[float]) -> list[int]:
    """Waiting times by LAG_SECS, and beyond the last; a label that was known before its answer waited for nothing.

    >>> lags([-5.0, 3600.0, 3601.0, 1e9])
    [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    """
    counts = [0] * (len(LAG_SECS) + 1)
    for each in secs:
        counts[bisect_left(LAG_SECS, each)] += 1
    return counts


def plus(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Both, place by place; an empty list is nothing yet."""
    if not first:
        return list(second)
    return [a + b for a, b in zip(first, second, strict=True)]


def cumulative(counts: Sequence[int]) -> list[int]:
    """How many up to each edge, the last of all.

    >>> cumulative([1, 0, 2])
    [1, 1, 3]
    """
    return list(accumulate(counts))


def _apart(reached: Sequence[int]) -> list[int]:
    return [here - before for before, here in zip([0, *reached], reached, strict=False)]
