"""How much one labelled claim says about a measure, from claims that were judged before the experiment."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from abtesting.stats.comparison import LEAST, Comparison
from abtesting.stats.measures import Measure, cell_error, influence, value
from abtesting.stats.paired import compare_pairs
from abtesting.stats.pairs import PairTally
from abtesting.stats.power import Effect
from abtesting.stats.tally import ArmTally
from mlops_site.stats.bins import Counts
from mlops_site.stats.scored import Floats
from monitoring.stats.performance import auc_of_bins


class Baseline(NamedTuple):
    """A measure of one model, and the variance of one judged claim's influence on it, from `n` claims (None where only
    shares are known)."""

    value: float
    variance: float
    n: int | None


def baseline(measure: Measure, arm: ArmTally) -> Baseline | None:
    """Of the judged claims of one model; None where they say nothing about the measure, or too little."""
    if measure.kind == "mean":
        return _of_mean(measure, arm)
    if measure.kind == "ranking":
        return _of_ranking(arm)
    return _of_cells(measure, arm.cells)


def baseline_of_shares(measure: Measure, cells: Floats) -> Baseline | None:
    """From the shares of (tp, fp, fn, tn) alone, of a share or a cost; None for other measures."""
    if measure.kind not in ("share", "cost"):
        return None
    steps, whole = influence(measure, cells), float(cells.sum())
    variance = float(cells @ np.square(steps)) / whole - (float(cells @ steps) / whole) ** 2
    at = float(cells @ np.array(measure.top)) / float(cells @ np.array(measure.bottom))
    return Baseline(at, variance, None) if variance > 0 else None


def cells_told(recall: float, precision: float, accuracy: float) -> Floats | None:
    """Shares of (tp, fp, fn, tn) that three metrics fix; None where they do not fit together.

    >>> cells_told(0.8, 0.5, 0.9).round(3).tolist()
    [0.08, 0.08, 0.02, 0.82]
    """
    if not (0 < recall <= 1 and 0 < precision <= 1 and 0 < accuracy < 1):
        return None
    wrong_by_positive = (1 - recall) + recall * (1 - precision) / precision
    if wrong_by_positive <= 0:
        return None
    prevalence = (1 - accuracy) / wrong_by_positive
    hits = prevalence * recall
    cells = np.array([hits, hits * (1 - precision) / precision, prevalence - hits, 0.0])
    cells[3] = 1 - cells.sum()
    return cells if 0 < prevalence < 1 and cells[3] >= 0 else None


def effect_of(measure: Measure, found: Baseline, gain: float, *, correlation: float) -> Effect:
    """The gain that is to be found, from this baseline. A share's variance at B is that of the share that it becomes;
    other measures are taken to vary in B as in A. ValueError where no share is as large, or as small."""
    if measure.kind != "share" or measure.name == "f1_score" or not 0 < found.value < 1:
        return Effect(gain, found.variance, found.variance, correlation)
    aim = found.value + gain
    if not 0 < aim < 1:
        raise ValueError(f"gain must leave {measure.name} between 0 and 1 but got {found.value:.3g} and {gain:+g}")
    return Effect(
        gain, found.variance, found.variance * aim * (1 - aim) / (found.value * (1 - found.value)), correlation
    )


def gain_by_default(measure: Measure, found: Baseline) -> float:
    """A twentieth of what A reaches, and at most half of what is left to gain.

    >>> gain_by_default(Measure("recall", "share", True), Baseline(0.8, 1.0, 100))
    0.04
    """
    part = abs(found.value) / 20
    return min(part, (1 - found.value) / 2) if measure.kind in ("share", "ranking") else part


class Together(NamedTuple):
    """How two models went on the same claims: B's gain, and the correlation of their influences on the measure."""

    gain: float
    correlation: float
    n: int


def together(measure: Measure, a: Baseline, b: Baseline, pairs: PairTally) -> Together | None:
    """From the pairs of both; None where there are too few of them for the measure, or it cannot be paired."""
    if measure.kind == "ranking" or measure.name == "outcome":
        return None
    found = compare_pairs(measure, pairs)
    if not isinstance(found, Comparison) or found.n < LEAST or min(a.variance, b.variance) <= 0:
        return None
    shared = a.variance + b.variance - found.se**2 * found.n
    correlation = shared / (2 * math.sqrt(a.variance * b.variance))
    return Together(found.gain, min(max(correlation, -1.0), 1.0), found.n)


def _of_cells(measure: Measure, cells: Counts) -> Baseline | None:
    found, n = value(measure, cells), int(cells.sum())
    if found is None or int(cells[np.array(measure.bottom) > 0].sum()) < LEAST:
        return None
    return Baseline(found, cell_error(measure, cells) ** 2 * n, n)


def _of_mean(measure: Measure, arm: ArmTally) -> Baseline | None:
    name = {"mae": "absolute", "rmse": "square"}.get(measure.name, measure.name)
    moments = arm.outcome if name == "outcome" else arm.answers.moments[name]
    mean, variance = moments.mean or 0.0, moments.variance or 0.0
    if moments.count < LEAST or variance <= 0:
        return None
    if measure.name == "rmse":
        return Baseline(math.sqrt(mean), variance / (4 * mean), moments.count)
    return Baseline(mean, variance, moments.count)


def _of_ranking(arm: ArmTally) -> Baseline | None:
    negative, positive = arm.answers.scores[1:].astype(np.float64)
    if min(negative.sum(), positive.sum()) < LEAST:
        return None
    found, error = auc_of_bins(negative, positive)
    n = int(negative.sum() + positive.sum())
    return Baseline(found, error**2 * n, n) if error else None
