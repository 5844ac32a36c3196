"""Exact Kolmogorov-Smirnov distance of two large columns, without sorting all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.scored import Floats

_BUCKETS = 1 << 16
_WORTH_IT = 50_000  # below that many numbers sorting is as fast


def ks_distance(current: Floats, reference: Floats) -> float:
    """Greatest distance of the empirical distribution functions of n and m numbers, NaN being missing.

    Missing values are an atom beyond all numbers: both functions count them in n and m, so that a change
    of the missing share alone has its own size as distance. Exact: equal to scipy.stats.ks_2samp's
    statistic with infinity in place of NaN.

    >>> ks_distance(np.array([1.0, 2.0, np.nan, np.nan]), np.array([1.0, 2.0]))
    0.5
    """
    n, m = len(current), len(reference)
    ours, theirs = _present(current), _present(reference)
    least = abs(len(ours) * m - len(theirs) * n)
    if not len(ours) or not len(theirs):
        return least / (n * m)
    few = len(ours) + len(theirs) < _WORTH_IT
    gap = _gap(np.sort(ours), np.sort(theirs), n, m) if few else _narrowed(ours, theirs, n, m, least)
    return max(least, gap) / (n * m)


def _present(values: Floats) -> Floats:
    missing = np.isnan(values)
    return values[~missing] if missing.any() else values


def _gap(ours: Floats, theirs: Floats, n: int, m: int) -> int:
    """Distance, times nm to stay a whole number, at the distinct values of two sorted columns."""
    points = np.concatenate([ours[_last_of_ties(ours)], theirs[_last_of_ties(theirs)]])
    below = np.searchsorted(ours, points, side="right"), np.searchsorted(theirs, points, side="right")
    return int(np.abs(below[0] * m - below[1] * n).max())


def _last_of_ties(ordered: Floats) -> NDArray[np.bool_]:
    return np.append(ordered[1:] != ordered[:-1], True)


def _narrowed(ours: Floats, theirs: Floats, n: int, m: int, least: int) -> int:
    """Count in buckets, which gives the distance at their ends, and sort only where it may be greater.

    Inside a bucket the distance cannot exceed what the bucket's own counts allow; buckets whose bound is
    above the greatest distance found so far are settled value by value.
    """
    centre, spread = _location(theirs)
    places = _buckets(ours, centre, spread), _buckets(theirs, centre, spread)
    counts = [np.bincount(place, minlength=_BUCKETS + 1) for place in places]
    ends = np.cumsum(counts[0]), np.cumsum(counts[1])
    best = max(least, int(np.abs(ends[0] * m - ends[1] * n).max()))
    starts = ends[0] - counts[0], ends[1] - counts[1]
    bound = np.maximum(ends[0] * m - starts[1] * n, ends[1] * n - starts[0] * m)
    open_buckets = (bound > best) & (counts[0] > 0) & (counts[1] > 0)
    if not open_buckets.any():
        return best
    sides = []
    for values, place, count, start in zip((ours, theirs), places, counts, starts, strict=True):
        chosen = np.sort(values[open_buckets[place]])
        # What a rank among the chosen must be raised by, per bucket, to be a rank among all.
        raised = start - (np.cumsum(count * open_buckets) - count * open_buckets)
        sides.append((chosen, raised))
    points = np.concatenate([chosen[_last_of_ties(chosen)] for chosen, _ in sides])
    at = _buckets(points, centre, spread)
    ranks = [np.searchsorted(chosen, points, side="right") + raised[at] for chosen, raised in sides]
    return max(best, int(np.abs(ranks[0] * m - ranks[1] * n).max()))


def _location(values: Floats) -> tuple[float, float]:
    """Middle and width of some of the values; they decide how fast the answer comes, not which."""
    lower, middle, upper = np.quantile(values[:: max(1, len(values) // 1000)], [0.25, 0.5, 0.75])
    return float(middle), float(upper - lower) or max(abs(float(middle)), 1.0)


def _buckets(values: Floats, centre: float, spread: float) -> NDArray[np.int32]:
    """Bucket of every value: fine around the middle, wide in the tails, so that outliers cost nothing.

    Each operation keeps the order of floats as IEEE 754 rounds it, which a single z / (1 + |z|) would not.
    """
    with np.errstate(over="ignore"):
        distance = (values - centre) / spread
        inward = np.abs(distance)
        inward += 1.0
        np.divide(1.0, inward, out=inward)
        np.subtract(1.0, inward, out=inward)
        np.copysign(inward, distance, out=inward)
        inward += 1.0
        inward *= _BUCKETS / 2
    return inward.astype(np.int32)
