"""Weighted metrics, many draws at once: each takes n rows and weights (d, n) and answers d values.

A value is NaN where the metric is undefined under those weights. All-one weights give the plain metric;
multinomial counts give the draws of a bootstrap. Definitions are scikit-learn's, macro for several classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.scored import Floats, ScoredRows

Ranked = Callable[[Floats, Floats], Floats]


def accuracy(rows: ScoredRows, weights: Floats) -> Floats:
    return _mean(weights, rows.truth == _decision(rows))


def precision(rows: ScoredRows, weights: Floats) -> Floats:
    hits, predicted, actual = _confusion(rows, weights)
    return _per_class(rows, hits, predicted, present=predicted + actual > 0)


def recall(rows: ScoredRows, weights: Floats) -> Floats:
    hits, predicted, actual = _confusion(rows, weights)
    return _per_class(rows, hits, actual, present=predicted + actual > 0)


def f1_score(rows: ScoredRows, weights: Floats) -> Floats:
    hits, predicted, actual = _confusion(rows, weights)
    return _per_class(rows, 2.0 * hits, predicted + actual, present=predicted + actual > 0)


def roc_auc(rows: ScoredRows, weights: Floats) -> Floats:
    """Mann-Whitney form with ties counted half: one sort of the scores serves every draw."""
    return _one_against_rest(rows, weights, _ranked_auc)


def average_precision(rows: ScoredRows, weights: Floats) -> Floats:
    return _one_against_rest(rows, weights, _ranked_precision)


def brier(rows: ScoredRows, weights: Floats) -> Floats:
    """Mean squared error of the probability; for k > 2 classes summed over the classes, so up to 2."""
    if rows.binary and rows.score is not None:
        return _mean(weights, np.square(rows.score - rows.truth))
    return _mean(weights, np.square(rows.class_scores - np.eye(len(rows.classes))[rows.truth]).sum(axis=1))


def log_loss(rows: ScoredRows, weights: Floats) -> Floats:
    tiny = np.finfo(np.float64).eps
    if rows.binary and rows.score is not None:
        chance = np.where(rows.truth == 1, rows.score, 1.0 - rows.score)
    else:
        chance = rows.class_scores[np.arange(len(rows)), rows.truth]
    return _mean(weights, -np.log(np.clip(chance, tiny, 1.0 - tiny)))


def mae(rows: ScoredRows, weights: Floats) -> Floats:
    return _mean(weights, np.abs(rows.truth - _decision(rows)))


def rmse(rows: ScoredRows, weights: Floats) -> Floats:
    squares = _mean(weights, np.square(rows.truth - _decision(rows)))
    return np.sqrt(squares)


def r2(rows: ScoredRows, weights: Floats) -> Floats:
    centred = rows.truth - rows.truth.mean() if len(rows) else rows.truth
    squares, totals = weights @ np.square(centred), weights.sum(axis=1)
    spread = squares - _ratio(np.square(weights @ centred), totals)
    # Rows that all weigh on one value leave a rounding error here, not an exact zero.
    spread = np.where(spread > 1e-12 * squares, spread, 0.0)
    return 1.0 - _ratio(weights @ np.square(rows.truth - _decision(rows)), spread)


def _decision(rows: ScoredRows) -> NDArray[Any]:
    if rows.decision is None:
        raise ValueError("prediction must be given but got None")
    return rows.decision


def _ratio(top: Floats, bottom: Floats) -> Floats:
    quotient = np.full(np.shape(top), np.nan)
    np.divide(top, bottom, out=quotient, where=bottom != 0)
    return quotient


def _mean(weights: Floats, values: NDArray[Any]) -> Floats:
    return _ratio(weights @ values.astype(np.float64), weights.sum(axis=1))


def _nanmean(values: Floats) -> Floats:
    """Mean over the classes that have a value, without NumPy's warning for none."""
    return _ratio(np.nansum(values, axis=1), np.isfinite(values).sum(axis=1).astype(np.float64))


def _confusion(rows: ScoredRows, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Weights of hits, predictions and truths, each (d, k), of two classes (d, 1)."""
    hits, predicted, actual = np.split(weights @ rows.outcomes, 3, axis=1)
    return hits, predicted, actual


def _per_class(rows: ScoredRows, top: Floats, bottom: Floats, *, present: NDArray[np.bool_]) -> Floats:
    if rows.binary:
        return _ratio(top[:, 0], bottom[:, 0])
    # Macro: a class that was predicted but never true (or the reverse) counts as 0, an absent one not at all.
    return _nanmean(np.where(present, np.nan_to_num(_ratio(top, bottom)), np.nan))


def _one_against_rest(rows: ScoredRows, weights: Floats, ranked: Ranked) -> Floats:
    """The ranking metric of the positive class, or its mean over the classes present."""
    if rows.score is None:
        raise ValueError("score must be given but got None")
    if rows.score.ndim == 1:
        return _ranked(rows.score, rows.truth == 1, weights, ranked, rows.best_first)
    classes = range(len(rows.classes))
    columns = [_ranked(own := rows.score[:, k], rows.truth == k, weights, ranked, _order(own)) for k in classes]
    return _nanmean(np.column_stack(columns))


def _order(score: Floats) -> NDArray[np.intp]:
    return np.argsort(score)[::-1]  # the stable sort takes five times as long


def _ranked(
    score: Floats, truth: NDArray[np.bool_], weights: Floats, ranked: Ranked, order: NDArray[np.intp]
) -> Floats:
    """Weights of positives and of all rows, summed per distinct score, in `order`, the best score first, then
    `ranked`."""
    if not len(score):
        return np.full(len(weights), np.nan)
    every = weights[:, order]
    hits = every * truth[order]
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    if len(starts) < len(score):
        hits, every = np.add.reduceat(hits, starts, axis=1), np.add.reduceat(every, starts, axis=1)
    return ranked(hits, every)


def _ranked_auc(hits: Floats, every: Floats) -> Floats:
    misses = every - hits
    above = np.cumsum(misses, axis=1)
    pairs = above[:, -1] * hits.sum(axis=1)
    lost = np.einsum("ij,ij->i", hits, above) - 0.5 * np.einsum("ij,ij->i", hits, misses)
    return 1.0 - _ratio(lost, pairs)


def _ranked_precision(hits: Floats, every: Floats) -> Floats:
    found = np.cumsum(hits, axis=1)
    share = np.nan_to_num(_ratio(found, np.cumsum(every, axis=1)))
    return _ratio(np.einsum("ij,ij->i", hits, share), found[:, -1])
