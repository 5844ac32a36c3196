"""How far two samples lie apart, in the measures that people know beside KS and chi-square. None of them raises an
alarm: most are biased for small samples, and none has an error rate of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # loads its parts at their first use
from numpy.typing import ArrayLike

from mlops_site.stats.scored import Floats


class Distances(NamedTuple):
    """`wasserstein` is in standard deviations of the reference, None of a category; `js` is the Jensen-Shannon distance
    to base 2 and `tvd` the total variation distance, both in [0, 1]."""

    wasserstein: float | None
    js: float
    tvd: float


def total_variation(current: ArrayLike, reference: ArrayLike) -> float:
    """Half the sum of the differences of the shares of two samples' counts, (k,).

    >>> total_variation([30, 70], [10, 90])
    0.2
    """
    p, q = _shares(current), _shares(reference)
    return round(float(np.abs(p - q).sum()) / 2, 15)


def jensen_shannon(current: ArrayLike, reference: ArrayLike) -> float:
    """Square root of the Jensen-Shannon divergence of two samples' counts, (k,), in bits, as SciPy's of base 2.

    >>> jensen_shannon([1, 0], [0, 1])
    1.0
    """
    p, q = _shares(current), _shares(reference)
    middle = (p + q) / 2
    divergence = float((scipy.special.rel_entr(p, middle) + scipy.special.rel_entr(q, middle)).sum()) / 2 / np.log(2)
    return float(np.sqrt(max(divergence, 0.0)))


def _shares(counts: ArrayLike) -> Floats:
    found = np.asarray(counts, dtype=np.float64)
    return found / max(float(found.sum()), 1.0)


def wasserstein(current: Floats, reference: Floats) -> float:
    """First Wasserstein distance of n and m sorted finite numbers, exactly: the mean distance of their quantiles.

    >>> wasserstein(np.array([1.0, 2.0]), np.array([2.0, 3.0, 4.0]))
    1.5
    """
    n, m = len(current), len(reference)
    if n == m:
        return float(np.abs(current - reference).mean())
    # The quantile functions are constant between the multiples of 1/n and of 1/m: whole numbers, times nm.
    ends = np.sort(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))
    starts = np.concatenate([[0], ends[:-1]])
    inside = starts < n * m
    gaps = np.abs(current[starts[inside] // m] - reference[starts[inside] // n])
    return float((gaps * (ends - starts)[inside]).sum() / (n * m))


def binned_wasserstein(current: ArrayLike, reference: ArrayLike, points: Floats) -> float:
    """The same from the counts (k,) of two samples between k + 1 rising points, each bin's mass spread evenly: wrong by
    at most the mean width of the bins, weighted by their mass.

    >>> binned_wasserstein([1, 0], [0, 1], np.array([0.0, 1.0, 2.0]))
    1.0
    """
    gaps = np.concatenate([[0.0], np.cumsum(_shares(current) - _shares(reference))])
    left, right = gaps[:-1], gaps[1:]
    widths = np.diff(points)
    crosses = left * right < 0
    size = np.abs(left) + np.abs(right)
    # Between two points the difference is a line: a trapezium, or two triangles where it changes sign.
    areas = np.where(crosses, (left**2 + right**2) / np.where(crosses, 2 * size, 1), size / 2)
    return float((areas * widths).sum())
