"""How right amounts were: actual over expected, and how well large ones were told from small ones."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.scored import Floats
from monitoring.stats.breakdown import Breakdown
from monitoring.stats.layout import BY_LABEL, BY_PREDICTION, PAIRS, SIDE
from monitoring.stats.limbs import LIMBS, floats, whole
from monitoring.stats.performance import Metric, Z


class Pairs(NamedTuple):
    """Sums over judged values: predicted, true, their squares, their product, the size of their difference."""

    n: int
    said: Fraction
    true: Fraction
    said2: Fraction
    true2: Fraction
    product: Fraction
    absolute: Fraction


def pairs(counts: Counts) -> Pairs:
    """From that part of a breakdown, shape (25,)."""
    sums = [whole(part) for part in counts[1:].reshape(len(PAIRS), LIMBS)]
    return Pairs(int(counts[0]), *sums)


def actual_over_expected(sums: Pairs) -> Metric | None:
    """What came over what was predicted: 1 where predictions are right on the whole. None unless more than nothing was
    predicted. The interval is that of a ratio of means (Cochran (1977), Sampling Techniques, section 2.11)."""
    if sums.n < 1 or sums.said <= 0:
        return None
    ratio, n = sums.true / sums.said, sums.n
    value = float(ratio)
    if n < 2:
        return Metric("actual_over_expected", value, None, n)
    spread = sums.true2 - 2 * ratio * sums.product + ratio**2 * sums.said2  # the mean of true - ratio said is nought
    half = Z * math.sqrt(max(float(spread / (n - 1) / n), 0.0)) / float(sums.said / n)
    return Metric("actual_over_expected", value, (value - half, value + half), n)


def mean_absolute(sums: Pairs) -> Metric | None:
    """The mean absolute error with its normal interval."""
    n = sums.n
    if n < 1:
        return None
    value = float(sums.absolute / n)
    if n < 2:
        return Metric("mae", value, None, n)
    squares = sums.said2 - 2 * sums.product + sums.true2
    half = Z * math.sqrt(max(float(squares / n - (sums.absolute / n) ** 2), 0.0) / (n - 1))
    return Metric("mae", value, (max(0.0, value - half), value + half), n)


def root_mean_square(sums: Pairs) -> Metric | None:
    """The root of the mean squared error, without an interval: that needs fourth powers, which are only added up for
    all answers."""
    if sums.n < 1:
        return None
    squares = sums.said2 - 2 * sums.product + sums.true2
    return Metric("rmse", math.sqrt(max(float(squares / sums.n), 0.0)), None, sums.n)


def gini(breakdown: Breakdown) -> Metric | None:
    """Gini coefficient of the truth in the order of the predictions, as a share of what the best order gives. None
    where a truth is negative, all are the same, or less than two rows are judged.

    Values in one of 16 bins to a factor of two are one step of the order. The interval is that of the coefficient
    by its influence (Lerman and Yitzhaki (1989), J. Econometrics 42), with the best order taken as given.
    """
    by_said = breakdown.part("by_prediction").reshape(-1, BY_PREDICTION)
    by_truth = breakdown.part("by_label").reshape(-1, BY_LABEL)
    rows, true = by_said[:, 0].astype(np.float64), floats(by_said[:, 1 : 1 + LIMBS])
    n, total = float(rows.sum()), float(true.sum())
    if n < 2 or total <= 0 or by_truth[:SIDE, 0].any() or (rows < 0).any():
        return None
    best = _concentration(by_truth[:, 0].astype(np.float64), floats(by_truth[:, 1:]))
    if best <= 1e-12:
        return None
    value = _concentration(rows, true)
    half = Z * _error(rows, true, floats(by_said[:, 1 + LIMBS :]), value)
    share, reach = value / best, half / best
    return Metric("gini", share, (max(share - reach, -1.0), min(share + reach, 1.0)), int(n))


def _concentration(rows: Floats, true: Floats) -> float:
    """1 - twice the area under the Lorenz curve of bins in rising order."""
    reached, paid = (np.concatenate([[0.0], np.cumsum(part) / part.sum()]) for part in (rows, true))
    return float(1 - (np.diff(reached) * (paid[1:] + paid[:-1])).sum())


def _error(rows: Floats, true: Floats, squares: Floats, value: float) -> float:
    """Standard error of the concentration C = 2 sum y F(p) / (n mean) - 1, whose influence in a row of bin b is
    (y (2 F_b - 1 - C) + 2 (share above b) mean(y above b) - ...) / mean: linear in y, so sums by bin are enough."""
    n, mean = rows.sum(), true.sum() / rows.sum()
    place = (np.cumsum(rows) - 0.5 * rows) / n  # F at the middle of each bin
    above = (true.sum() - np.cumsum(true) + 0.5 * true) / n  # mean of y where the order is higher
    slope = 2 * place - 1 - value
    offset = 2 * above
    offset = offset - (slope @ true + rows @ offset) / n  # an influence has the mean nought
    spread = (np.square(slope) * squares + 2 * slope * offset * true + np.square(offset) * rows).sum() / n
    return math.sqrt(max(float(spread), 0.0) / n) / float(mean)
