"""Two models on the same claims: what they share cancels, so that fewer labels tell them apart."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

import numpy as np
import scipy  # loads its parts at their first use

from abtesting.stats import sequential
from abtesting.stats.comparison import Comparison, Found, Unknown, Z, compared, normal_p, too_few
from abtesting.stats.measures import Measure, influence, value
from abtesting.stats.pairs import PairTally
from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments
from mlops_site.stats.scored import Floats

# Which of (tp, fp, fn, tn) a claim is for a model, at 4 a + 2 b + label.
_OF_A = np.array([3, 2, 3, 2, 1, 0, 1, 0])
_OF_B = np.array([3, 2, 1, 0, 3, 2, 1, 0])
_TO_A, _TO_B = np.eye(4, dtype=np.int64)[_OF_A], np.eye(4, dtype=np.int64)[_OF_B]

Cells = TypeVar("Cells", Counts, Floats)


class McNemar(NamedTuple):
    """Two-sided p-values of "both are right equally often": exact (false alarms never above
    their level, and often far below), mid-p (close to it) and the chi-square limit without correction."""

    exact: float
    mid_p: float
    chi_square: float


def mcnemar(only_a: int, only_b: int) -> McNemar:
    """Of the claims on which one model was right alone. The others say nothing about the difference.

    Sources: McNemar (1947), Psychometrika 12; Fagerland, Lydersen and Laake (2013), BMC Medical Research
    Methodology 13, who recommend mid-p.

    >>> [round(p, 4) for p in mcnemar(2, 10)]
    [0.0386, 0.0225, 0.0209]
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"only_a and only_b must not be negative but got {only_a} and {only_b}")
    n, fewer = only_a + only_b, min(only_a, only_b)
    if n == 0:
        return McNemar(1.0, 1.0, 1.0)
    at_most = float(scipy.special.bdtr(fewer, n, 0.5))
    less = float(scipy.special.bdtr(fewer - 1, n, 0.5)) if fewer else 0.0
    chi_square = float(scipy.special.chdtrc(1, (only_a - only_b) ** 2 / n))
    return McNemar(min(1.0, 2 * at_most), 1.0 if only_a == only_b else at_most + less, chi_square)


def cells_of(pairs: Cells) -> tuple[Cells, Cells]:
    """Each model's (tp, fp, fn, tn) from counts of pairs, shape (..., 8)."""
    return pairs @ _TO_A, pairs @ _TO_B


def discordant(measure: Measure, pairs: Counts) -> tuple[int, int] | None:
    """Claims that only A and only B had right, of those that the measure is a share of; None for a measure that is a
    share of other claims for each model (precision, f1_score), or none (cost)."""
    if measure.name == "accuracy":
        return int(pairs[5] + pairs[2]), int(pairs[3] + pairs[4])
    return (int(pairs[5]), int(pairs[3])) if measure.name == "recall" else None


def paired_error(measure: Measure, pairs: Counts) -> float:
    """Standard error of B's measure less A's, by the delta method on the eight shares of the pairs.

    Half a claim is added to each for the error alone, so that few claims that differ do not make it nought.
    """
    smooth: Floats = pairs + np.float64(0.5)
    a, b = cells_of(smooth)
    steps = influence(measure, b)[_OF_B] - influence(measure, a)[_OF_A]
    n = float(smooth.sum())
    variance = float(smooth @ np.square(steps)) / n - (float(smooth @ steps) / n) ** 2
    return math.sqrt(max(variance, 0.0) / float(pairs.sum()))


def compare_pairs(measure: Measure, pairs: PairTally, *, tuned_at: float = sequential.TUNED_AT) -> Comparison | Unknown:
    """Two models on the same claims: McNemar's mid-p for accuracy and recall, the delta method on the table of pairs
    for the interval and for the other decision metrics, moments of the differences for brier, mae and rmse."""
    if measure.kind == "ranking":
        raise ValueError(f"{measure.name} must be compared from rows or between arms: pairs hold no ranking")
    if measure.kind == "mean":
        return compared(measure, lambda: _paired_means(measure, pairs), pairs.judged, tuned_at)
    return compared(measure, lambda: _paired_cells(measure, pairs.cells), pairs.judged, tuned_at)


def _paired_cells(measure: Measure, pairs: Counts) -> Found | Unknown:
    a, b = cells_of(pairs)
    bottom = np.array(measure.bottom) > 0
    few = too_few(measure, a[bottom].sum(), b[bottom].sum())
    if few is not None:
        return few
    of_a, of_b = value(measure, a) or 0.0, value(measure, b) or 0.0
    se = paired_error(measure, pairs)
    bounds = of_b - of_a - Z * se, of_b - of_a + Z * se
    alone = discordant(measure, pairs)
    if alone is None:
        return Found(of_a, of_b, se, bounds, normal_p((of_b - of_a) / se), "paired delta method")
    only_a, only_b = alone
    won = float(scipy.special.betainc(only_a + 1, only_b + 1, 0.5))  # B's share of what one had right alone
    return Found(of_a, of_b, se, bounds, mcnemar(only_a, only_b).mid_p, "mcnemar mid-p", won)


def _paired_means(measure: Measure, pairs: PairTally) -> Found | Unknown:
    a, b, steps = (pairs.moments[f"{measure.name}{side}"] for side in ("_a", "_b", ""))
    few = too_few(measure, steps.count, steps.count)
    if few is not None:
        return few
    of_a, of_b, n = a.mean or 0.0, b.mean or 0.0, steps.count
    se = math.sqrt((steps.variance or 0.0) / (n - 1))
    if se <= 0:
        return Unknown(measure.name, "not computable: both differ by the same on every claim")
    if measure.name != "rmse":
        half = float(scipy.special.stdtrit(n - 1, 0.975)) * se
        p_value = float(2 * scipy.special.stdtr(n - 1, -abs(of_b - of_a) / se))
        return Found(of_a, of_b, se, (of_b - of_a - half, of_b - of_a + half), p_value, "paired t")
    return _paired_roots(a, b, steps)


def _paired_roots(a: Moments, b: Moments, steps: Moments) -> Found:
    """Roots of two mean squares on the same claims: the covariance follows from the variance of the difference."""
    root_a, root_b = math.sqrt(a.mean or 0.0), math.sqrt(b.mean or 0.0)
    own_a, own_b, own = a.variance or 0.0, b.variance or 0.0, steps.variance or 0.0
    slope_a, slope_b = 0.5 / max(root_a, 1e-150), 0.5 / max(root_b, 1e-150)
    together = (own_a + own_b - own) / 2
    variance = slope_a**2 * own_a + slope_b**2 * own_b - 2 * slope_a * slope_b * together
    se, difference = math.sqrt(max(variance, 0.0) / (steps.count - 1)), root_b - root_a
    bounds = difference - Z * se, difference + Z * se
    return Found(root_a, root_b, se, bounds, normal_p(difference / se), "paired delta method")
