"""B against A where each has units of its own."""

from __future__ import annotations

import math

import numpy as np
import scipy  # loads its parts at their first use

from abtesting.stats import proportions, sequential
from abtesting.stats.comparison import (
    LEAST,
    Comparison,
    Found,
    Unknown,
    Z,
    compared,
    normal_p,
    over_epochs,
    too_few,
)
from abtesting.stats.measures import Measure, cell_error, value
from abtesting.stats.paired import compare_pairs
from abtesting.stats.sequential import Bounds
from abtesting.stats.tally import ArmTally
from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments
from mlops_site.stats.intervals import wilson
from monitoring.stats.performance import auc_of_bins

__all__ = ["LEAST", "Comparison", "Unknown", "compare_arms", "compare_pairs", "over_epochs"]


def compare_arms(
    measure: Measure, a: ArmTally, b: ArmTally, *, tuned_at: float = sequential.TUNED_AT
) -> Comparison | Unknown:
    """Two arms with different units.

    Shares by Newcombe's interval and the score test (an f1 score through the share it grows with), a mean by Welch's
    t-test, costs by the delta method, roc_auc by DeLong's error on 200 bins of the score.
    """
    if a.shape != b.shape:
        raise ValueError(f"arms must have one shape but got {a.shape} and {b.shape}")
    if measure.kind == "mean":
        of_a, of_b = _moments(measure, a), _moments(measure, b)
        return compared(measure, lambda: _means(measure, of_a, of_b), of_a.count + of_b.count, tuned_at)
    if measure.kind == "ranking":
        return compared(measure, lambda: _rankings(measure, a, b), a.judged + b.judged, tuned_at)
    return compared(measure, lambda: _cells(measure, a.cells, b.cells), a.judged + b.judged, tuned_at)


def _cells(measure: Measure, a: Counts, b: Counts) -> Found | Unknown:
    bottom = np.array(measure.bottom) > 0
    few = too_few(measure, a[bottom].sum(), b[bottom].sum())
    if few is not None:
        return few
    of_a, of_b = value(measure, a) or 0.0, value(measure, b) or 0.0
    se = math.hypot(cell_error(measure, a), cell_error(measure, b))
    if measure.kind == "cost":
        half = Z * se
        bounds = of_b - of_a - half, of_b - of_a + half
        return Found(of_a, of_b, se, bounds, normal_p((of_b - of_a) / se), "delta method")
    # What f1 = 2 J / (1 + J) grows with is J, the share of hits among all but the true negatives.
    counts = [int(part) for own in (a, b) for part in (_hits(measure, own), own[bottom].sum())]
    bounds_a, bounds_b = (_bounds(measure, *counts[side : side + 2]) for side in (0, 2))
    return Found(
        of_a,
        of_b,
        se,
        proportions.recovered(of_a, bounds_a, of_b, bounds_b),
        proportions.pooled_p_value(*counts),
        "newcombe",
        proportions.chance_greater(*counts),
    )


def _hits(measure: Measure, cells: Counts) -> int:
    return int(cells[np.array(measure.top) > 0].sum())


def _bounds(measure: Measure, hits: int, n: int) -> Bounds:
    found = wilson(hits, n)
    if measure.name != "f1_score":
        return found.lower, found.upper
    low, high = (2 * share / (1 + share) for share in (found.lower, found.upper))
    return low, high


def _moments(measure: Measure, arm: ArmTally) -> Moments:
    if measure.name == "outcome":
        return arm.outcome
    return arm.answers.moments[{"mae": "absolute", "rmse": "square"}.get(measure.name, measure.name)]


def _means(measure: Measure, a: Moments, b: Moments) -> Found | Unknown:
    few = too_few(measure, a.count, b.count)
    if few is not None:
        return few
    parts = [(own.mean or 0.0, (own.variance or 0.0) / (own.count - 1), own.count) for own in (a, b)]
    (mean_a, square_a, n_a), (mean_b, square_b, n_b) = parts
    if square_a + square_b <= 0:
        return Unknown(measure.name, "not computable: all values of an arm are equal")
    if measure.name == "rmse":
        return _roots(mean_a, square_a, mean_b, square_b)
    se = math.sqrt(square_a + square_b)
    part_a, part_b = (own / (square_a + square_b) for own in (square_a, square_b))  # their squares are held
    freedom = 1 / (part_a**2 / (n_a - 1) + part_b**2 / (n_b - 1))
    half = float(scipy.special.stdtrit(freedom, 0.975)) * se
    difference = mean_b - mean_a
    p_value = float(2 * scipy.special.stdtr(freedom, -abs(difference) / se))
    return Found(mean_a, mean_b, se, (difference - half, difference + half), p_value, "welch")


def _roots(mean_a: float, square_a: float, mean_b: float, square_b: float) -> Found:
    """Roots of two mean squares, by the delta method."""
    a, b = math.sqrt(mean_a), math.sqrt(mean_b)
    parts = [square / (4 * mean) for mean, square in ((mean_a, square_a), (mean_b, square_b)) if mean > 0]
    se = math.sqrt(sum(parts))
    return Found(a, b, se, (b - a - Z * se, b - a + Z * se), normal_p((b - a) / se), "delta method")


def _rankings(measure: Measure, a: ArmTally, b: ArmTally) -> Found | Unknown:
    sides = [arm.answers.scores[1:].astype(np.float64) for arm in (a, b)]  # negative and positive rows by score
    few = too_few(measure, *(side.sum(axis=1).min() for side in sides))
    if few is not None:
        return few
    (of_a, error_a), (of_b, error_b) = (auc_of_bins(*side) for side in sides)
    se = math.hypot(error_a or 0.0, error_b or 0.0)
    if se <= 0:
        return Unknown(measure.name, "not computable: both arms rank every positive above every negative")
    bounds = of_b - of_a - Z * se, of_b - of_a + Z * se
    return Found(of_a, of_b, se, bounds, normal_p((of_b - of_a) / se), "delong")
