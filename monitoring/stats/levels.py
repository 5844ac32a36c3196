"""The figures of each level of a slice, from its counts."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.intervals import wilson
from monitoring.stats.amounts import Pairs, actual_over_expected, mean_absolute, pairs, root_mean_square
from monitoring.stats.breakdown import level_part
from monitoring.stats.followup import Overrides, overrides
from monitoring.stats.layout import LEVEL_EDGES, SLICE_BINS, TOTALS
from monitoring.stats.limbs import LIMBS, whole
from monitoring.stats.operations import quantile_ms
from monitoring.stats.performance import Metric, auc_metric
from monitoring.stats.shape import Shape


class Rate(NamedTuple):
    """A mean of n rows with the variance of one of them; `hits` where it is a share."""

    value: float
    variance: float
    n: int
    hits: int | None = None


class Speed(NamedTuple):
    """Response times of the `n` answers that said theirs, within 26 %; None without any."""

    n: int
    p50_ms: float | None
    p95_ms: float | None


class Level(NamedTuple):
    """One level of a slice: its answers, and the sums that its figures come from. `failed` is the share of the answers
    that failed, with its interval; None without answers."""

    name: str
    rows: int
    errors: int
    labelled: int
    metrics: list[Metric]
    rates: dict[str, Rate]
    decisions: Overrides
    failed: Metric | None
    speed: Speed


def level_of(name: str, counts: Counts, shape: Shape) -> Level:
    """From the counts (v,) of one level."""
    totals = dict(zip(TOTALS, level_part(counts, shape, "totals").tolist(), strict=True))
    decisions = overrides(level_part(counts, shape, "decisions"))
    if shape.task_type == "regression":
        sums = pairs(level_part(counts, shape, "pairs"))
        metrics, rates = _of_values(sums), _rates_of_values(sums)
    else:
        rates = {"accuracy": _share(totals["hits"], totals["judged"])}
        rates |= _rates_of_two(counts, shape, totals) if shape.is_binary else {}
        metrics = _of_classes(rates, counts, shape)
    some = {key: rate for key, rate in rates.items() if rate is not None}
    failed = _share(totals["errors"], totals["rows"])
    return Level(
        name,
        totals["rows"],
        totals["errors"],
        totals["labelled"],
        metrics,
        some,
        decisions,
        None if failed is None else _metric("error_rate", failed),
        _speed(level_part(counts, shape, "latency")),
    )


def _speed(counts: Counts) -> Speed:
    """Answers of before latencies were counted by level have none."""
    return Speed(int(counts.sum()), *(quantile_ms(counts, share, LEVEL_EDGES) for share in (0.5, 0.95)))


def _share(hits: int, n: int) -> Rate | None:
    if n <= 0 or not 0 <= hits <= n:
        return None
    value = hits / n
    return Rate(value, value * (1 - value), n, hits)


def _rates_of_two(counts: Counts, shape: Shape, totals: dict[str, int]) -> dict[str, Rate | None]:
    """Confusion is [true negatives, false positives, false negatives, true positives]."""
    negative, alarms, missed, hits = (int(count) for count in level_part(counts, shape, "confusion"))
    gaps = level_part(counts, shape, "gaps")
    return {
        "selection_rate": _share(totals["selected"], totals["answered"]),
        "true_positive_rate": _share(hits, hits + missed),
        "false_positive_rate": _share(alarms, alarms + negative),
        "precision": _share(hits, hits + alarms),
        "calibration_gap": _mean(int(gaps[0]), gaps[1 : 1 + LIMBS], gaps[1 + LIMBS :]),
    }


def _mean(n: int, total: Counts, squares: Counts) -> Rate | None:
    if n <= 0:
        return None
    mean = whole(total) / n
    return Rate(float(mean), max(float(whole(squares) / n - mean**2), 0.0), n)


def _of_classes(rates: dict[str, Rate | None], counts: Counts, shape: Shape) -> list[Metric]:
    found = [_metric(name, rate) for name, rate in rates.items() if rate is not None and name != "true_positive_rate"]
    recall = rates.get("true_positive_rate")
    if recall is not None:
        found.append(_metric("recall", recall))
    if not shape.is_binary:
        return found
    gaps = level_part(counts, shape, "gaps")
    if gaps[0] > 0:
        found.append(Metric("brier", float(whole(gaps[1 + LIMBS :]) / int(gaps[0])), None, int(gaps[0])))
    scores = level_part(counts, shape, "scores").reshape(2, SLICE_BINS).astype(np.float64)
    return [*found, auc_metric(*scores)] if scores.any(axis=1).all() else found


def _metric(name: str, rate: Rate) -> Metric:
    if rate.hits is not None:
        found = wilson(rate.hits, rate.n)
        return Metric(name, rate.value, (found.lower, found.upper), rate.n)
    half = 1.959964 * math.sqrt(rate.variance / max(rate.n - 1, 1))
    return Metric(name, rate.value, (rate.value - half, rate.value + half) if rate.n > 1 else None, rate.n)


def _of_values(sums: Pairs) -> list[Metric]:
    found = (mean_absolute(sums), root_mean_square(sums), actual_over_expected(sums))
    return [metric for metric in found if metric is not None]


def _rates_of_values(sums: Pairs) -> dict[str, Rate | None]:
    """Actual over expected with the variance of what one row adds to it."""
    if sums.n < 1 or sums.said <= 0:
        return {}
    ratio = sums.true / sums.said
    spread = (sums.true2 - 2 * ratio * sums.product + ratio**2 * sums.said2) / sums.n
    mean = sums.said / sums.n
    return {"actual_over_expected": Rate(float(ratio), max(float(spread / mean**2), 0.0), sums.n)}
