"""Estimators whose answer is a sum: of trees or of weighted columns. What is summed, and in which space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.artifacts.leaves import Tree

Floats = NDArray[np.float64]
Space = Literal["probability", "log_odds", "raw", "value"]

_LINEAR = frozenset(
    {
        "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "BayesianRidge",
        "ARDRegression", "HuberRegressor", "Lars", "LassoLars", "LassoLarsIC", "OrthogonalMatchingPursuit",
        "TheilSenRegressor", "QuantileRegressor", "SGDRegressor",
    }
)  # fmt: skip
_LOGISTIC = frozenset({"LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis"})
_SINGLE = frozenset({"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"})
_FOREST = frozenset({"RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"})
_BOOSTED = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})
_HISTOGRAMS = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})


class Weights(NamedTuple):
    """intercept + row @ coefficients."""

    space: Space
    coefficients: Floats
    intercept: float


class Trees(NamedTuple):
    """intercept + the sum of the trees; `single` where they compare columns in single precision."""

    space: Space
    trees: list[Tree]
    intercept: float
    single: bool


def additive(estimator: Any, output: int | None, classes: int) -> Weights | Trees | None:
    """The sum behind an answer: class number `output` of `classes`, or the value (None). None for another estimator.

    Of two classes the space is log-odds where the estimator adds there, of more the raw score before softmax.
    """
    kind = type(estimator).__name__ if type(estimator).__module__.startswith("sklearn.") else ""
    if kind in _LINEAR or kind in _LOGISTIC:
        return _weights(estimator, output, classes)
    if kind in _SINGLE or kind in _FOREST:
        members = [estimator] if kind in _SINGLE else estimator.estimators_
        parts = [_member(member.tree_, output, 1.0 / len(members)) for member in members]
        return Trees("value" if output is None else "probability", parts, 0.0, single=True)
    if kind in _BOOSTED:
        return _boosted(estimator, output, classes)
    return _histograms(estimator, output, classes) if kind in _HISTOGRAMS else None


def _space(output: int | None, classes: int) -> Space:
    return "value" if output is None else "log_odds" if classes == 2 else "raw"


def _weights(estimator: Any, output: int | None, classes: int) -> Weights:
    rows, starts = np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_)
    if output is None or classes > 2:
        at = output or 0
        return Weights(_space(output, classes), np.asarray(rows[at], np.float64), float(starts[at]))
    sign = 1.0 if output == 1 else -1.0
    return Weights("log_odds", sign * np.asarray(rows[0], np.float64), sign * float(starts[0]))


def _member(tree: Any, output: int | None, scale: float, *, sign: float = 1.0) -> Tree:
    values = np.asarray(tree.value[:, 0, :], np.float64)
    chosen = values[:, 0] if output is None else values[:, output] / values.sum(axis=1)
    return Tree(
        tree.feature,
        np.asarray(tree.threshold, np.float64),
        tree.children_left,
        tree.children_right,
        np.asarray(tree.missing_go_to_left, bool),
        sign * scale * chosen,
    )


def _boosted(estimator: Any, output: int | None, classes: int) -> Trees:
    at, sign = _column(output, classes)
    start = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32))
    stages: Sequence[Any] = estimator.estimators_[:, at]
    trees = [_member(stage.tree_, None, estimator.learning_rate, sign=sign) for stage in stages]
    # Of the exponential loss the sum is half the log-odds.
    space: Space = "raw" if getattr(estimator, "loss", "") == "exponential" else _space(output, classes)
    return Trees(space, trees, sign * float(start[0, at]), single=True)


def _column(output: int | None, classes: int) -> tuple[int, float]:
    """Where boosting keeps an output, and its sign: of two classes it adds for the second alone."""
    if output is None:
        return 0, 1.0
    return (output, 1.0) if classes > 2 else (0, 1.0 if output == 1 else -1.0)


def _histograms(estimator: Any, output: int | None, classes: int) -> Trees:
    from sklearn._loss.link import IdentityLink, LogitLink

    at, sign = _column(output, classes)
    trees = [_histogram(stage[at].nodes, sign) for stage in estimator._predictors]
    start = float(np.ravel(estimator._baseline_prediction)[at])
    is_plain = isinstance(estimator._loss.link, IdentityLink if output is None else LogitLink)
    return Trees(_space(output, classes) if is_plain else "raw", trees, sign * start, single=False)


def _histogram(nodes: NDArray[Any], sign: float) -> Tree:
    is_leaf = nodes["is_leaf"] != 0
    return Tree(
        nodes["feature_idx"].astype(np.intp),
        nodes["num_threshold"].astype(np.float64),
        np.where(is_leaf, -1, nodes["left"].astype(np.intp)),
        np.where(is_leaf, -1, nodes["right"].astype(np.intp)),
        nodes["missing_go_to_left"] != 0,
        np.where(is_leaf, sign * nodes["value"], 0.0),
    )
