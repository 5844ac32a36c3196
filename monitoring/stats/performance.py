"""How right the answers were, with 95 % intervals, from a tally alone; and whether that is worse than promised."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments
from mlops_site.stats.intervals import wilson
from mlops_site.stats.metrics import METRICS
from mlops_site.stats.scored import Floats
from monitoring.stats.tally import Shape, Tally

Bounds = tuple[float, float]

Z = NormalDist().inv_cdf(0.975)
_STEADY = 1e3  # a mean so many deviations away leaves the float products of r2's error too few digits


class Metric(NamedTuple):
    """A realised metric by its public spelling, on `n` judged rows; `ci95` is None where they are too few for one."""

    name: str
    value: float
    ci95: Bounds | None
    n: int


class Degradation(NamedTuple):
    """The model's headline metric against the one it was registered with. `drop` is how much worse it is: the
    difference, or for an error such as mae its share of the baseline."""

    metric: str
    value: float
    ci95: Bounds | None
    baseline: float
    drop: float
    degraded: bool
    n: int


def realised(tally: Tally) -> list[Metric]:
    """The metrics of the judged rows, in the order of the registry's table; one without a value is left out.

    Two classes: accuracy, precision, recall, f1_score, roc_auc, average_precision and brier (areas on 200 bins of the
    score); more classes: the first four, macro; values: mae, rmse, r2. Definitions are those of
    `mlops_site.stats.metrics`.
    """
    if tally.judged <= 0 and not (tally.shape.is_binary and tally.scores[1:].any()):
        return []
    found = _of_values(tally) if tally.shape.task_type == "regression" else _of_classes(tally)
    return sorted(found, key=lambda metric: list(METRICS).index(metric.name))


def headline(shape: Shape) -> tuple[str, ...]:
    """The metrics by which a model of this shape is judged, the first of which that has a value and a baseline."""
    if shape.task_type == "regression":
        return ("mae", "rmse", "r2")
    return ("f1_score", "accuracy") if shape.is_binary else ("accuracy", "f1_score")


def degradation(
    metrics: list[Metric],
    baseline: Mapping[str, float],
    *,
    shape: Shape,
    threshold: float,
    min_samples: int,
    metric: str = "",
) -> Degradation | None:
    """Judge the headline metric, or the one that is named; None where the window or the baseline has none.

    Degraded is a drop of at least `threshold` on at least `min_samples` rows while the baseline lies on the better
    side of the interval.
    """
    known = {metric.name: metric for metric in metrics if metric.name in baseline}
    found = next((known[name] for name in ((metric,) if metric else headline(shape)) if name in known), None)
    if found is None:
        return None
    promised, better = baseline[found.name], METRICS[found.name].greater_is_better
    drop = promised - found.value if better else found.value - promised
    if found.name in ("mae", "rmse"):
        drop = drop / promised if promised > 0 else math.copysign(math.inf, drop) if drop else 0.0
    certain = found.ci95 is not None and (promised > found.ci95[1] if better else promised < found.ci95[0])
    degraded = found.n >= min_samples and certain and drop >= threshold - 1e-12
    return Degradation(found.name, found.value, found.ci95, promised, drop, degraded, found.n)


def _of_classes(tally: Tally) -> list[Metric]:
    found = [_share("accuracy", tally.hits, tally.judged, tally.judged)] if tally.judged else []
    if tally.shape.is_binary:
        return [*found, *_of_two(tally), *_of_scores(tally)]
    return found + (_macro(tally.confusion) if tally.confusion.any() else [])


def _share(name: str, hits: int, of: int, n: int) -> Metric:
    interval = wilson(hits, of)
    return Metric(name, interval.estimate, (interval.lower, interval.upper), n)


def _of_two(tally: Tally) -> list[Metric]:
    """f1 rises with J = hits / (all but the true negatives), as 2 J / (1 + J), so Wilson's interval of J gives its."""
    positive, n = tally.shape.positive_code, tally.judged
    hits = int(tally.confusion[positive, positive])
    actual, said = int(tally.confusion[positive].sum()), int(tally.confusion[:, positive].sum())
    shares = [("precision", hits, said), ("recall", hits, actual), ("f1_score", hits, said + actual - hits)]
    found = [_share(name, top, bottom, n) for name, top, bottom in shares if bottom]
    return [_doubled(metric) if metric.name == "f1_score" else metric for metric in found]


def _doubled(metric: Metric) -> Metric:
    value, low, high = (2 * j / (1 + j) for j in (metric.value, *(metric.ci95 or ())))
    return metric._replace(value=value, ci95=(low, high))


def _macro(confusion: Counts) -> list[Metric]:
    """Means over the classes present, by the delta method on the multinomial counts; half a row is added to each cell
    for the error alone, so that it is not nought. Source: Takahashi et al. (2022), Applied Intelligence 52."""
    actual, said, hits = confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()
    present = (actual + said) > 0
    n = int(confusion.sum())
    chosen: Floats = confusion[np.ix_(present, present)] + np.float64(0.5)
    found = []
    for name, by_truth, by_answer in (("precision", 0, 1), ("recall", 1, 0), ("f1_score", 1, 1)):
        bottom = by_truth * actual + by_answer * said
        top = (by_truth + by_answer) * hits
        ratio = np.divide(top, bottom, out=np.zeros(len(top)), where=bottom > 0)
        value, half = float(ratio[present].mean()), Z * _macro_error(chosen, n, by_truth, by_answer)
        found.append(Metric(name, value, (max(0.0, value - half), min(1.0, value + half)), n))
    return found


def _macro_error(confusion: Floats, n: int, by_truth: int, by_answer: int) -> float:
    """Standard error of the mean over classes c of (t + a) hits_c / (t actual_c + a said_c)."""
    shares = confusion / confusion.sum()
    bottom = by_truth * shares.sum(axis=1) + by_answer * shares.sum(axis=0)
    ratio = (by_truth + by_answer) * shares.diagonal() / bottom
    slope, weight = np.diag((by_truth + by_answer) / bottom), ratio / bottom
    slope = slope - by_truth * weight[:, None] - by_answer * weight[None, :]
    slope = slope / len(bottom)
    variance = float((shares * np.square(slope)).sum() - (shares * slope).sum() ** 2)
    return math.sqrt(max(variance, 0.0) / n)


def _of_scores(tally: Tally) -> list[Metric]:
    negative, positive = tally.scores[1:].astype(np.float64)
    found = [_mean("brier", tally.moments["brier"])] if tally.moments["brier"].count > 0 else []
    if not positive.any():
        return found
    found.append(_average_precision(negative, positive))
    return [*found, auc_metric(negative, positive)] if negative.any() else found


def _average_precision(negative: Floats, positive: Floats) -> Metric:
    """Mean precision over the recall that each bin adds, from the highest score down, its interval on the scale of the
    logit with as many tries as there are positives. Source: Boyd, Eng and Page (2013), ECML PKDD, section 4.1."""
    hits, taken = np.cumsum(positive[::-1]), np.cumsum((negative + positive)[::-1])
    n, some = float(hits[-1]), taken > 0
    value = float((positive[::-1][some] * hits[some] / taken[some]).sum() / n)
    found = Metric("average_precision", value, None, int(taken[-1]))
    if n < 2 or not 0 < value < 1:
        return found
    half, logit = Z / math.sqrt(n * value * (1 - value)), scipy.special.logit(value)
    return found._replace(ci95=(float(scipy.special.expit(logit - half)), float(scipy.special.expit(logit + half))))


def auc_metric(negative: Floats, positive: Floats) -> Metric:
    """The area under the curve, its interval on the scale of the logit. Source: Pepe (2003), section 5.2."""
    value, error = auc_of_bins(negative, positive)
    found = Metric("roc_auc", value, None, int(negative.sum() + positive.sum()))
    if error is None or not 0 < value < 1:
        return found
    half = Z * error / (value * (1 - value))
    logit = scipy.special.logit(value)
    return found._replace(ci95=(float(scipy.special.expit(logit - half)), float(scipy.special.expit(logit + half))))


def auc_of_bins(negative: Floats, positive: Floats) -> tuple[float, float | None]:
    """Area under the curve of scores on bins, ties counted half, and DeLong's standard error, which needs two rows of
    each class. Source: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44."""
    n, m = float(negative.sum()), float(positive.sum())
    above_negatives = (np.cumsum(negative) - 0.5 * negative) / n  # of a positive in each bin
    below_positives = 1 - (np.cumsum(positive) - 0.5 * positive) / m  # of a negative in each bin
    value = float(positive @ above_negatives / m)
    if min(n, m) < 2:
        return value, None
    spreads = positive @ np.square(above_negatives - value), negative @ np.square(below_positives - value)
    return value, math.sqrt(spreads[0] / (m - 1) / m + spreads[1] / (n - 1) / n)


def _mean(name: str, moments: Moments) -> Metric:
    """A mean with its normal interval, not below 0."""
    value, n = moments.mean or 0.0, moments.count
    if n < 2:
        return Metric(name, value, None, n)
    half = Z * math.sqrt((moments.variance or 0.0) / (n - 1))
    return Metric(name, value, (max(0.0, value - half), value + half), n)


def _of_values(tally: Tally) -> list[Metric]:
    squared = _mean("rmse", tally.moments["square"])
    bounds = None if squared.ci95 is None else (math.sqrt(squared.ci95[0]), math.sqrt(squared.ci95[1]))
    rmse = squared._replace(value=math.sqrt(squared.value), ci95=bounds)
    return [_mean("mae", tally.moments["absolute"]), rmse, *_r2(tally)]


def _r2(tally: Tally) -> list[Metric]:
    """1 - M / S of the mean squared error M and the variance S of the labels, by the delta method: its influence is
    -(e^2 - M) / S + M ((y - mean)^2 - S) / S^2. Left out where all labels are equal."""
    label, square, n = tally.moments["label"], tally.moments["square"], tally.judged
    mean, error = label.total / n, square.total / n
    spread = label.squares / n - mean**2
    if spread <= 0 or float(spread) < 1e-12 * float(label.squares / n):
        return []
    value = float(1 - error / spread)
    if n < 3 or float(mean**2 / spread) > _STEADY**2:
        return [Metric("r2", value, None, n)]
    cube, fourth, cross, cross2 = (
        tally.sums[name] / n for name in ("label3", "label4", "residual2_label", "residual2_label2")
    )
    of_error = square.squares / n - error**2
    of_spread = fourth - 4 * mean * cube + 6 * mean**2 * (label.squares / n) - 3 * mean**4 - spread**2
    of_both = cross2 - 2 * mean * cross + mean**2 * error - error * spread
    ratio = error / spread
    variance = (of_error - 2 * ratio * of_both + ratio**2 * of_spread) / spread**2
    half = Z * math.sqrt(max(float(variance), 0.0) / n)
    return [Metric("r2", value, (value - half, value + half), n)]
