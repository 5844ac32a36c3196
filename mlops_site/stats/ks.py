"""Exact Kolmogorov-Smirnov distance of two columns; of large ones without looking up every value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.scored import Floats

_STRIDE = 16
_WORTH_IT = 50_000  # below that many numbers looking up all of them is as fast


def ks_distance(current: Floats, reference: Floats) -> float:
    """Greatest distance of the empirical distribution functions of n and m numbers, NaN being missing.

    Missing values are an atom beyond all numbers: both functions count them in n and m, so that a change
    of the missing share alone has its own size as distance. Exact: equal to scipy.stats.ks_2samp's
    statistic with infinity in place of NaN.

    >>> ks_distance(np.array([1.0, 2.0, np.nan, np.nan]), np.array([1.0, 2.0]))
    0.5
    """
    ours, theirs = (np.sort(side[~np.isnan(side)]) for side in (current, reference))
    return ks_distance_of_sorted(ours, theirs, len(current), len(reference))


def ks_distance_of_sorted(ours: Floats, theirs: Floats, n: int, m: int) -> float:
    """The same of the present numbers of n and m rows, sorted."""
    least = abs(len(ours) * m - len(theirs) * n)
    if not len(ours) or not len(theirs):
        return least / (n * m)
    few = len(ours) + len(theirs) < _WORTH_IT
    gap = _gap(ours, theirs, (ours, theirs), n, m) if few else _narrowed(ours, theirs, n, m)
    return max(least, gap) / (n * m)


def _gap(ours: Floats, theirs: Floats, at: tuple[Floats, Floats], n: int, m: int) -> int:
    """Distance, times nm to stay a whole number, of two sorted columns at the distinct values of two others."""
    points = np.concatenate([side[_last_of_ties(side)] for side in at])
    if not len(points):
        return 0
    below = np.searchsorted(ours, points, side="right"), np.searchsorted(theirs, points, side="right")
    return int(np.abs(below[0] * m - below[1] * n).max())


def _last_of_ties(ordered: Floats) -> NDArray[np.bool_]:
    return np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)]


def _narrowed(ours: Floats, theirs: Floats, n: int, m: int) -> int:
    """The distance at every 16th value of the reference, and value by value only between those where it may be greater:
    between two it cannot exceed what the rows there allow."""
    cuts = theirs[_STRIDE - 1 :: _STRIDE]
    cuts = cuts[_last_of_ties(cuts)]
    ends = [np.append(np.searchsorted(side, cuts, side="right"), len(side)) for side in (ours, theirs)]
    starts = [np.concatenate([[0], end[:-1]]) for end in ends]
    best = int(np.abs(ends[0] * m - ends[1] * n).max())
    bound = np.maximum(ends[0] * m - starts[1] * n, ends[1] * n - starts[0] * m)
    is_open = (bound > best) & (ends[0] > starts[0]) & (ends[1] > starts[1])
    # Where a cut is the only value up to it from the last one, the distance there is known.
    first = np.minimum(ours[np.minimum(starts[0], len(ours) - 1)], theirs[np.minimum(starts[1], len(theirs) - 1)])
    is_open[:-1] &= first[:-1] < cuts
    inside = [
        side[_within(start[is_open], end[is_open])]
        for side, start, end in zip((ours, theirs), starts, ends, strict=True)
    ]
    return max(best, _gap(ours, theirs, (inside[0], inside[1]), n, m))


def _within(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places from each start to before its end.

    >>> _within(np.array([2, 7]), np.array([4, 8])).tolist()
    [2, 3, 7]
    """
    sizes = ends - starts
    before = np.cumsum(sizes) - sizes
    return np.repeat(starts - before, sizes) + np.arange(int(sizes.sum()))
