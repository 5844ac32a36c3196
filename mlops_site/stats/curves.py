"""What overlays of models show, each of bounded size: ROC, precision and recall, calibration, values, classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops_site.stats.intervals import wilson
from mlops_site.stats.scored import Floats, ScoredRows

MAX_POINTS = 200
BINS = 10
MAX_CLASSES = 50


class Curve(NamedTuple):
    """A line of n points, x not falling."""

    x: list[float]
    y: list[float]


class Reliability(NamedTuple):
    """Bins of rising score: mean score, share that truly is positive with its 95 % interval, rows."""

    predicted: list[float]
    observed: list[float]
    lower: list[float]
    upper: list[float]
    rows: list[int]


class Fitted(NamedTuple):
    """Bins of rising prediction: its mean, mean truth, and the tenth and ninetieth percentile of truth."""

    predicted: list[float]
    observed: list[float]
    lower: list[float]
    upper: list[float]
    rows: list[int]


class ClassRow(NamedTuple):
    """One class: how many rows truly are of it, and shares with their 95 % intervals; None where there are no rows."""

    label: Any
    rows: int
    precision: float | None
    precision_ci95: list[float] | None
    recall: float | None
    recall_ci95: list[float] | None


def roc(positive: ArrayLike, score: ArrayLike) -> Curve:
    """False positive rate and true positive rate at every threshold, thinned; as scikit-learn's `roc_curve`.

    ValueError unless both kinds of rows are there.

    >>> roc([0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8])
    Curve(x=[0.0, 0.0, 0.0, 0.5, 1.0], y=[0.0, 0.5, 1.0, 1.0, 1.0])
    """
    hits, rows = _counts(positive, score)
    misses = rows - hits
    if not hits[-1] or not misses[-1]:
        raise ValueError(f"rows must hold both kinds but {int(hits[-1])} of {int(rows[-1])} are positive")
    return thinned(_from(0.0, misses / misses[-1]), _from(0.0, hits / hits[-1]))


def precision_recall(positive: ArrayLike, score: ArrayLike) -> Curve:
    """Recall and precision at every threshold, thinned; as scikit-learn's `precision_recall_curve`.

    ValueError where no row is positive.
    """
    hits, rows = _counts(positive, score)
    if not hits[-1]:
        raise ValueError(f"rows must hold a positive one but none of {int(rows[-1])} is")
    return thinned(_from(0.0, hits / hits[-1]), _from(1.0, hits / rows))


def _counts(positive: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    """Positives and rows at or above each distinct score, from the highest down."""
    truth, scores = np.asarray(positive, dtype=bool), np.asarray(score, dtype=np.float64)
    if not len(truth):
        raise ValueError("rows must not be empty")
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    return truth[order].cumsum()[ends].astype(np.float64), (ends + 1).astype(np.float64)


def _from(start: float, values: Floats) -> Floats:
    return np.concatenate([[start], values])


def thinned(x: Floats, y: Floats, *, points: int = MAX_POINTS) -> Curve:
    """At most so many points, evenly spaced along the line, the ends among them.

    No point that is left out is further from its neighbours, in |dx| + |dy|, than the line's length / (points - 1).
    """
    if len(x) > points:
        walked = np.concatenate([[0.0], (np.abs(np.diff(x)) + np.abs(np.diff(y))).cumsum()])
        at = np.unique(np.searchsorted(walked, np.linspace(0, walked[-1], points)).clip(0, len(x) - 1))
        at[-1] = len(x) - 1
        x, y = x[at], y[at]
    return Curve(x.tolist(), y.tolist())


def height(curve: Curve, x: Sequence[float]) -> list[float]:
    """The line's height at each x, the upper one where it rises straight up.

    >>> height(Curve([0.0, 0.0, 1.0], [0.0, 0.5, 1.0]), [0.0, 0.5])
    [0.5, 0.75]
    """
    return [float(np.interp(at, np.asarray(curve.x), np.maximum.accumulate(np.asarray(curve.y)))) for at in x]


def reliability(positive: ArrayLike, score: ArrayLike, *, bins: int = BINS) -> Reliability:
    """Calibration in bins of about equal count; as scikit-learn's `calibration_curve(strategy="quantile")`."""
    truth, scores = np.asarray(positive, dtype=bool), np.asarray(score, dtype=np.float64)
    parts = _binned(scores, bins)
    shares = [wilson(int(truth[part].sum()), len(part)) for part in parts]
    return Reliability(
        [float(scores[part].mean()) for part in parts],
        [share.estimate for share in shares],
        [share.lower for share in shares],
        [share.upper for share in shares],
        [len(part) for part in parts],
    )


def fitted(truth: ArrayLike, prediction: ArrayLike, *, bins: int = BINS) -> Fitted:
    """Predicted against actual values in bins of about equal count."""
    real, said = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    parts = _binned(said, bins)
    ends = [np.quantile(real[part], [0.1, 0.9]).tolist() for part in parts]
    return Fitted(
        [float(said[part].mean()) for part in parts],
        [float(real[part].mean()) for part in parts],
        [low for low, _ in ends],
        [high for _, high in ends],
        [len(part) for part in parts],
    )


def residuals(truth: ArrayLike, prediction: ArrayLike, *, points: int = 101) -> Curve:
    """The distribution of truth minus prediction: x the residual, y the share of rows with at most that.

    >>> residuals([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], points=3)
    Curve(x=[0.0, 1.0, 2.0], y=[0.0, 0.5, 1.0])
    """
    gaps = np.asarray(truth, dtype=np.float64) - np.asarray(prediction, dtype=np.float64)
    shares = np.linspace(0, 1, points)
    return Curve(np.quantile(gaps, shares).tolist(), shares.tolist())


def by_class(rows: ScoredRows) -> list[ClassRow]:
    """Precision and recall of each class, of at most MAX_CLASSES, the most frequent first."""
    if rows.decision is None or not rows.classes:
        raise ValueError("rows must have classes and decisions but got none")
    truth, said = rows.truth, np.asarray(rows.decision)
    counts = np.bincount(truth, minlength=len(rows.classes))
    order = np.argsort(-counts, kind="stable")[:MAX_CLASSES]
    return [_class_row(rows.classes[code], truth == code, said == code) for code in order.tolist()]


def _class_row(label: Any, real: NDArray[np.bool_], said: NDArray[np.bool_]) -> ClassRow:
    hits = int((real & said).sum())
    return ClassRow(label, int(real.sum()), *_share(hits, int(said.sum())), *_share(hits, int(real.sum())))


def _share(hits: int, rows: int) -> tuple[float | None, list[float] | None]:
    if not rows:
        return None, None
    found = wilson(hits, rows)
    return found.estimate, [found.lower, found.upper]


def _binned(values: Floats, bins: int) -> list[NDArray[np.intp]]:
    """Row numbers of each bin that has rows, in order."""
    if not len(values):
        raise ValueError("rows must not be empty")
    edges = np.percentile(values, np.linspace(0, 100, bins + 1))[1:-1]
    codes = np.searchsorted(edges, values)
    return [found for code in range(bins) if len(found := np.flatnonzero(codes == code))]
