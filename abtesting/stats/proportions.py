"""The difference of two shares, B's less A's: intervals, test and the chance that B's is the higher one."""

from __future__ import annotations

import math

import numpy as np
import scipy  # loads its parts at their first use

from abtesting.stats.sequential import Bounds
from mlops_site.stats.intervals import wilson

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_REACH = 25  # standard deviations, beyond which even the longest of these tails holds less than 1e-10


def newcombe(hits_a: int, n_a: int, hits_b: int, n_b: int, *, level: float = 0.95) -> Bounds:
    """Interval from Wilson's of each share, which holds its level near 0 and 1 and for few rows, as Wald's does not.

    Source: Newcombe (1998), Statistics in Medicine 17, method 10. ValueError unless 0 <= hits <= n and n >= 1.

    >>> [round(bound, 4) for bound in newcombe(56, 70, 48, 80)]
    [-0.3339, -0.0524]
    """
    a, b = wilson(hits_a, n_a, level=level), wilson(hits_b, n_b, level=level)
    return recovered(a.estimate, (a.lower, a.upper), b.estimate, (b.lower, b.upper))


def recovered(a: float, bounds_a: Bounds, b: float, bounds_b: Bounds) -> Bounds:
    """Interval of b - a from an interval of each, whatever their shape: the variance is recovered from the near bounds.

    Source: Zou and Donner (2008), Statistics in Medicine 27.
    """
    difference = b - a
    lower = difference - math.hypot(b - bounds_b[0], bounds_a[1] - a)
    return lower, difference + math.hypot(bounds_b[1] - b, a - bounds_a[0])


def pooled_p_value(hits_a: int, n_a: int, hits_b: int, n_b: int) -> float:
    """Two-sided p-value of "equal shares", by the score test: the chi-square test of the table without correction."""
    pooled = (hits_a + hits_b) / (n_a + n_b)
    spread = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
    if spread == 0:
        return 1.0
    return float(2 * scipy.special.ndtr(-abs(hits_b / n_b - hits_a / n_a) / math.sqrt(spread)))


def chance_greater(hits_a: int, n_a: int, hits_b: int, n_b: int) -> float:
    """Probability that B's share is the higher one, both known beforehand to lie anywhere in [0, 1] alike: Beta
    posteriors, integrated over the narrower one by 200 Gauss-Legendre nodes, to 1e-9.

    >>> chance_greater(5, 10, 5, 10), round(chance_greater(80, 100, 92, 100), 3)
    (0.5, 0.993)
    """
    a, b = (hits_a + 1, n_a - hits_a + 1), (hits_b + 1, n_b - hits_b + 1)
    # Over the wider one, the other's distribution function would be a step between two nodes.
    if _deviation(*b) <= _deviation(*a):
        return _chance_below(a, b)
    return 1 - _chance_below(b, a)


def _chance_below(first: tuple[int, int], second: tuple[int, int]) -> float:
    """P(the first share is below the second), of two Beta distributions."""
    mean, reach = second[0] / sum(second), _REACH * _deviation(*second)
    low, high = max(0.0, mean - reach), min(1.0, mean + reach)
    x = low + (high - low) * (_NODES + 1) / 2
    logs = (second[0] - 1) * np.log(x) + (second[1] - 1) * np.log1p(-x)
    # Normalised by its own sum: of a million rows, the Beta function's logarithm has no ten digits after the point.
    density = _WEIGHTS * np.exp(logs - logs.max())
    return round(float(density @ scipy.special.betainc(*first, x) / density.sum()), 12)


def _deviation(alpha: int, beta: int) -> float:
    return math.sqrt(alpha * beta / (alpha + beta + 1)) / (alpha + beta)
