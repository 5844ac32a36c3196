"""How far the scores of two classes can be taken at their word, from the histograms of a tally."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from mlops_site.stats.bins import Counts
from mlops_site.stats.intervals import wilson
from mlops_site.stats.scored import Floats
from monitoring.stats.performance import Metric, Z
from monitoring.stats.shape import SCORE_BINS
from monitoring.stats.tally import Tally

PARTS = 10  # equal parts of the scale, as the error and the curve are usually given
DRAWS = 400
CENTRES: Floats = (np.arange(SCORE_BINS) + 0.5) / SCORE_BINS


class Curve(NamedTuple):
    """By part of the scale that has scores: the mean score, the share that truly is positive with its 95 % interval,
    labelled rows."""

    predicted: list[float]
    observed: list[float]
    lower: list[float]
    upper: list[float]
    rows: list[int]


class Calibration(NamedTuple):
    """`error` is the expected calibration error, of which `chance` is what perfect scores would show on so few rows;
    `slope` is 1 and `gap` (mean score less share of positives) 0 where scores are right; None without a value."""

    error: Metric
    chance: float
    slope: Metric | None
    gap: Metric
    curve: Curve


def calibration(tally: Tally) -> Calibration | None:
    """Of the rows whose score and label are known; None where there are none. Scores are taken at the centres of their
    200 bins, so no figure but the slope is further than 0.0025 from that of the scores themselves."""
    if not tally.shape.is_binary or not tally.scores[1:].any():
        return None
    counts = tally.scores[1:]
    rows = int(counts.sum())
    if (counts < 0).any():
        return None
    expected, chance = calibration_error(counts)
    error = Metric("calibration_error", expected, _interval(counts, expected) if rows > 1 else None, rows)
    return Calibration(error, chance, _slope(counts), _gap(counts), _curve(counts))


def calibration_error(counts: Counts) -> tuple[float, float]:
    """Mean distance of score and share of positives over ten equal parts, weighted by rows; and its expectation for
    scores that are right. Counts (2, 200). Source: Naeini, Cooper and Hauskrecht (2015), AAAI 29; for the second, the
    mean of a folded normal.

    >>> right = np.zeros((2, 200), dtype=np.int64)
    >>> right[:, 99] = 5_050, 4_950  # scores of 0.4975, of which 0.495 are positive
    >>> [round(value, 4) for value in calibration_error(right)]
    [0.0025, 0.004]
    """
    rows, score, positive = (part.astype(np.float64) for part in _parts(counts))
    some = rows > 0
    weight = rows[some] / rows.sum()
    mean, share = score[some] / rows[some], positive[some] / rows[some]
    noise = np.sqrt(2 / math.pi * mean * (1 - mean) / rows[some])
    return float(weight @ np.abs(mean - share)), float(weight @ noise)


def _parts(counts: Counts) -> tuple[Floats, Floats, Floats]:
    """Rows, sums of scores and positives by part; counts (..., 2, 200)."""
    parts = counts.reshape(*counts.shape[:-1], PARTS, -1).astype(np.float64)
    both = parts.sum(axis=-3)
    rows, score = both.sum(axis=-1), (both * CENTRES.reshape(PARTS, -1)).sum(axis=-1)
    return rows, score, parts[..., 1, :, :].sum(axis=-1)


def _interval(counts: Counts, found: float) -> tuple[float, float]:
    """Of the error, by draws of as many positives in each part (a parametric basic bootstrap: the error of few rows is
    too large, and that of draws is so once more). It begins at nought unless 97.5 % of what right scores show is less.
    """
    rows, score, positive = (part[counts.sum(axis=0).reshape(PARTS, -1).sum(axis=1) > 0] for part in _parts(counts))
    random, n = np.random.default_rng(0), rows.astype(np.int64)
    drawn, right = (
        np.abs(score - random.binomial(n, share, size=(DRAWS, len(n)))).sum(axis=1) / rows.sum()
        for share in (positive / rows, score / rows)
    )
    low, high = 2 * found - np.quantile(drawn, [0.975, 0.025])
    if found <= np.quantile(right, 0.975):
        low = 0.0
    return min(max(float(low), 0.0), found), max(float(high), found)


def _gap(counts: Counts) -> Metric:
    negative, positive = counts.astype(np.float64)
    rows = negative.sum() + positive.sum()
    value = float((negative @ CENTRES + positive @ (CENTRES - 1)) / rows)
    squares = float((negative @ np.square(CENTRES) + positive @ np.square(CENTRES - 1)) / rows)
    half = Z * math.sqrt(max(squares - value**2, 0.0) / max(rows - 1, 1))
    return Metric("calibration_gap", value, (value - half, value + half) if rows > 1 else None, int(rows))


def _slope(counts: Counts) -> Metric | None:
    """Of the logit of the truth on that of the score, by Newton's method; None where the classes are told apart
    entirely or only one is there. Source: Cox (1958), Biometrika 45; the interval is Wald's."""
    rows, hits = counts.sum(axis=0).astype(np.float64), counts[1].astype(np.float64)
    some = rows > 0
    if not 0 < hits.sum() < rows.sum() or some.sum() < 2:
        return None
    design = np.stack([np.ones(int(some.sum())), scipy.special.logit(CENTRES[some])], axis=1)
    at = np.array([0.0, 1.0])
    for _ in range(25):
        share = scipy.special.expit(design @ at)
        bend = (design.T * (rows[some] * share * (1 - share))) @ design
        if not np.isfinite(bend).all() or np.linalg.cond(bend) > 1e12:
            return None
        step = np.linalg.solve(bend, design.T @ (hits[some] - rows[some] * share))
        at = at + step
        if np.abs(step).max() < 1e-9:
            half = Z * math.sqrt(float(np.linalg.inv(bend)[1, 1]))
            return Metric(
                "calibration_slope", float(at[1]), (float(at[1] - half), float(at[1] + half)), int(rows.sum())
            )
    return None


def _curve(counts: Counts) -> Curve:
    rows, score, positive = _parts(counts)
    some = rows > 0
    shares = [wilson(int(hits), int(n)) for hits, n in zip(positive[some], rows[some], strict=True)]
    return Curve(
        (score[some] / rows[some]).tolist(),
        [share.estimate for share in shares],
        [share.lower for share in shares],
        [share.upper for share in shares],
        [int(n) for n in rows[some]],
    )
