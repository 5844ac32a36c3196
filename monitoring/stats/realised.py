"""All that labels say of a version: the metrics of the registry's table, and those of production alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mlops_site.stats.metrics import METRICS
from monitoring.stats.amounts import actual_over_expected, gini, pairs
from monitoring.stats.breakdown import Breakdown
from monitoring.stats.calibration import Calibration, calibration
from monitoring.stats.performance import Metric, Z, realised
from monitoring.stats.tally import Tally

OUTCOMES = ("true_negative", "false_positive", "false_negative", "true_positive")  # as a confusion is laid out
# The value that a metric of production is best at, from either side.
BEST = {
    "calibration_error": 0.0,
    "calibration_gap": 0.0,
    "calibration_slope": 1.0,
    "actual_over_expected": 1.0,
    "cost_per_row": -math.inf,
}


def all_realised(
    tally: Tally,
    breakdown: Breakdown,
    costs: Mapping[str, float] | None = None,
    *,
    said: Calibration | None = None,
) -> list[Metric]:
    """Those of `performance.realised`, then of two classes calibration_error, calibration_slope and, with the costs of
    the four outcomes, cost_per_row; of values gini and actual_over_expected. What has no value is left out. `said` is
    the calibration, if it is known already."""
    found: list[Metric | None] = [*realised(tally)]
    if tally.shape.task_type == "regression":
        found += [gini(breakdown), actual_over_expected(pairs(breakdown.part("pairs")))]
    elif (calibrated := said or calibration(tally)) is not None:
        found += [calibrated.error, calibrated.slope]
    if costs and tally.shape.is_binary:
        found.append(cost_per_row(tally, costs))
    return [metric for metric in found if metric is not None]


def cost_per_row(tally: Tally, costs: Mapping[str, float]) -> Metric | None:
    """The mean of what the outcome of a judged row costs, with its normal interval; an outcome without a cost is free.

    Source of the notion: Elkan (2001), The foundations of cost-sensitive learning, IJCAI.
    """
    n = tally.judged
    if n <= 0:
        return None
    positive = tally.shape.positive_code
    cells = tally.confusion if positive == 1 else tally.confusion[::-1, ::-1]
    each = [float(costs.get(outcome, 0.0)) for outcome in OUTCOMES]
    counts = cells.ravel().tolist()
    mean = sum(cost * count for cost, count in zip(each, counts, strict=True)) / n
    squares = sum(cost**2 * count for cost, count in zip(each, counts, strict=True)) / n
    if n < 2:
        return Metric("cost_per_row", mean, None, n)
    half = Z * math.sqrt(max(squares - mean**2, 0.0) / (n - 1))
    return Metric("cost_per_row", mean, (mean - half, mean + half), n)


def is_better(name: str, now: float, before: float) -> bool | None:
    """Whether a metric changed for the better; None where it did not change, or nobody knows which way that is.

    >>> is_better("actual_over_expected", 0.9, 1.2), is_better("mae", 2.0, 1.0)
    (True, False)
    """
    if now == before:
        return None
    if name in METRICS:
        return (now > before) == METRICS[name].greater_is_better
    best = BEST.get(name)
    if best is None:
        return None
    return now < before if math.isinf(best) else abs(now - best) < abs(before - best)
