"""The difference of two shares, B's less A's: intervals, test and the chance that B's is the higher one."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from abtesting.stats.sequential import Bounds
from mlops_site.stats.intervals import wilson

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_TAIL = 1e-13


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


def wald(hits_a: int, n_a: int, hits_b: int, n_b: int, *, level: float = 0.95) -> Bounds:
    """The textbook's interval: too narrow for few rows and next to 0 and 1; for comparison with others' figures."""
    a, b = hits_a / n_a, hits_b / n_b
    half = float(special.ndtri((1 + level) / 2)) * math.sqrt(a * (1 - a) / n_a + b * (1 - b) / n_b)
    return b - a - half, b - a + half


def pooled_p_value(hits_a: int, n_a: int, hits_b: int, n_b: int) -> float:
    """Two-sided p-value of "equal shares", by the score test: the chi-square test of the table without correction."""
    pooled = (hits_a + hits_b) / (n_a + n_b)
    spread = pooled * (1 - pooled) * (1 / n_a + 1 / n_b)
    if spread == 0:
        return 1.0
    return float(2 * special.ndtr(-abs(hits_b / n_b - hits_a / n_a) / math.sqrt(spread)))


def chance_greater(hits_a: int, n_a: int, hits_b: int, n_b: int) -> float:
    """Probability that B's share is the higher one, both known beforehand to lie anywhere in [0, 1] alike: Beta
    posteriors, integrated over B's by 200 Gauss-Legendre nodes, to 1e-9.

    >>> chance_greater(5, 10, 5, 10), round(chance_greater(80, 100, 92, 100), 3)
    (0.5, 0.993)
    """
    a, b = (hits_a + 1, n_a - hits_a + 1), (hits_b + 1, n_b - hits_b + 1)
    low, high = special.betaincinv(*b, _TAIL), special.betainccinv(*b, _TAIL)
    x = low + (high - low) * (_NODES + 1) / 2
    density = np.exp((b[0] - 1) * np.log(x) + (b[1] - 1) * np.log1p(-x) - special.betaln(*b))
    return round(float((high - low) / 2 * (_WEIGHTS * density) @ special.betainc(*a, x)), 12)
