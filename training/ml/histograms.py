"""Boosted trees of any origin as scikit-learn's histogram boosting, the one form in which they are kept.

A booster of LightGBM or XGBoost is restored by native code that believes the file, so no trusted file may hold one
(decision 18). Its trees are plain comparisons and sums, which scikit-learn's predictor makes as well: so they are
rebuilt in it, after training, and what is known about such a model (its proof, its explanation, its ONNX form) holds.

Every comparison is set so that it says the same of a number in single and in double precision: ONNX Runtime, which
computes in single precision, then answers as scikit-learn does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

Floats = NDArray[np.float64]
_MOST = float(np.finfo(np.float32).max)


class Nodes(NamedTuple):
    """A tree as arrays over its nodes, the root first; a leaf has no children (-1) and a value. A row goes left where
    its column is at most the threshold, or is missing and `missing_left`."""

    column: NDArray[Any]
    threshold: Floats
    left: NDArray[Any]
    right: NDArray[Any]
    missing_left: NDArray[Any]
    value: Floats


def single(matrix: Any) -> NDArray[np.float32]:
    """Prepared columns (n, columns) in single precision; what is too large for it becomes its largest number."""
    dense = matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)
    found: NDArray[np.float32] = np.clip(dense, -_MOST, _MOST).astype(np.float32)
    return found


def settled(threshold: Any) -> Floats:
    """Thresholds (n,) moved so that `x <= t` says of x what it says of x in single precision, rounded either way.

    Of the numbers of single precision the largest that is not above t is taken, of the doubles that round to it the
    largest.

    >>> bool(np.float32(settled(0.1)) <= 0.1), bool(settled(0.1) > np.float32(settled(0.1)))
    (True, True)
    """
    exact = np.asarray(threshold, np.float64)
    inside = np.clip(exact, -_MOST, _MOST)
    below = inside.astype(np.float32)
    below = np.where(below > inside, np.nextafter(below, np.float32(-np.inf)), below).astype(np.float32)
    with np.errstate(over="ignore"):
        above = np.nextafter(below, np.float32(np.inf))
        middle = (below.astype(np.float64) + above.astype(np.float64)) / 2
    # A tie rounds to the even one of its neighbours.
    last = np.where(middle.astype(np.float32) == below, middle, np.nextafter(middle, -np.inf))
    return np.asarray(np.where(np.abs(exact) < _MOST, last, exact), np.float64)


def settle(model: Any) -> Any:
    """The fitted histogram boosting with its thresholds `settled`."""
    for predictor in (tree for stage in model._predictors for tree in stage):
        inner = predictor.nodes["is_leaf"] == 0
        predictor.nodes["num_threshold"][inner] = settled(predictor.nodes["num_threshold"][inner])
    return model


def rebuilt(
    stages: Sequence[Sequence[Nodes]],
    start: Floats,
    *,
    columns: int,
    classes: NDArray[Any] | None,
    log_link: bool = False,
) -> Any:
    """A fitted model that answers `link(start + the sum of the trees)`: `stages` hold one tree, or one for each of more
    than two `classes`; the value itself without classes."""
    model = _template(columns, classes, log_link=log_link)
    trees = [[_predictor(tree) for tree in stage] for stage in stages]
    model._predictors = trees
    model._baseline_prediction = np.asarray(start, np.float64).reshape(1, -1)
    model.max_iter = len(trees)
    model.train_score_ = model.validation_score_ = np.empty(0)
    return model


def _template(columns: int, classes: NDArray[Any] | None, *, log_link: bool) -> Any:
    """A model fitted to nothing, so that scikit-learn itself sets what it wants to find in a fitted one."""
    settings: dict[str, Any] = {"max_iter": 1, "early_stopping": False, "min_samples_leaf": 1, "random_state": 0}
    truth = np.array([1.0, 2.0]) if classes is None else classes
    loss: dict[str, Any] = {"loss": "poisson"} if log_link else {}
    made = HistGradientBoostingClassifier if classes is not None else HistGradientBoostingRegressor
    return made(**settings, **loss).fit(np.zeros((len(truth), columns)), truth)


def _predictor(tree: Nodes) -> TreePredictor:
    order, depth = _levels(tree)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    kept = Nodes(*(np.asarray(part)[order] for part in tree))
    is_leaf = kept.left < 0
    nodes = np.zeros(len(order), PREDICTOR_RECORD_DTYPE)
    nodes["is_leaf"], nodes["depth"] = is_leaf, depth
    nodes["value"] = np.where(is_leaf, kept.value, 0.0)
    nodes["feature_idx"] = np.where(is_leaf, 0, kept.column)
    nodes["num_threshold"] = np.where(is_leaf, 0.0, settled(np.where(is_leaf, 0.0, kept.threshold)))
    nodes["missing_go_to_left"] = ~is_leaf & np.asarray(kept.missing_left, bool)
    for side, child in (("left", kept.left), ("right", kept.right)):
        nodes[side] = np.where(is_leaf, 0, place[np.where(is_leaf, 0, child)])
    none = np.zeros((0, 8), np.uint32)
    return TreePredictor(nodes, none, none.copy())


def _levels(tree: Nodes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The nodes that the root reaches, parents before their children, and the depth of each."""
    level, depth = np.array([0], np.intp), 0
    order, depths = [level], [np.zeros(1, np.intp)]
    while len(inner := level[tree.left[level] >= 0]):
        level, depth = np.concatenate([tree.left[inner], tree.right[inner]]).astype(np.intp), depth + 1
        order.append(level)
        depths.append(np.full(len(level), depth, np.intp))
    return np.concatenate(order), np.concatenate(depths)
