"""Proof that a loaded model's decision trees stay inside their own arrays.

scikit-learn's native code follows the indices of a tree without checking them, so a crafted file could read
or write past the end. In a sound tree every inner node's two children come after it and exist, every feature
that is asked exists, and the model around it passes on as many features as the tree was made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from registry.artifacts.archive import refused


def check_trees(model: object) -> None:
    """Check every tree in the model, however nested; Invalid `unsound_tree` if one could leave its arrays."""
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree import BaseDecisionTree
    from sklearn.tree._tree import Tree

    forests = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)
    boosted = (GradientBoostingClassifier, GradientBoostingRegressor)
    histograms = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
    owned: set[int] = set()
    found = list(parts(model))
    for part in found:
        if isinstance(part, BaseDecisionTree) and hasattr(part, "tree_"):
            _check_tree(part.tree_, part.n_features_in_)
            owned.add(id(part.tree_))
        elif isinstance(part, forests + boosted) and hasattr(part, "estimators_"):
            _check_members(part)
        elif isinstance(part, histograms) and hasattr(part, "_predictors"):
            owned.update(_check_histograms(part))
    for part in found:
        if isinstance(part, boosted) and hasattr(part, "estimators_"):
            _check_stages(part)
    loose = [part for part in found if isinstance(part, Tree | TreePredictor) and id(part) not in owned]
    _demand(not loose, "a tree outside a tree model")


def _demand(sound: bool | np.bool_, what: str) -> None:
    if not sound:
        raise refused("unsound_tree", f"the .skops file holds {what}; it was damaged or made by hand")


def parts(model: object) -> Iterator[Any]:
    """Every object inside the model, each once."""
    stack, seen = [model], set()
    while stack:
        part: Any = stack.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float | type(None) | type):
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            stack.extend(part.values())
        elif isinstance(part, list | tuple | set):
            stack.extend(part)
        elif isinstance(part, np.ndarray):
            stack.extend(part.ravel() if part.dtype == object else ())
        else:
            stack.extend(getattr(part, "__dict__", {}).values())


def _check_tree(tree: Any, n_features: int) -> None:
    from sklearn.tree._tree import Tree

    _demand(type(tree) is Tree, "a tree model without a tree")
    # Until the count is known to be right, even looking at the arrays reads past their end.
    _demand(tree.node_count == tree.capacity >= 1, f"a tree that claims {tree.node_count} nodes")
    _demand(tree.n_features == n_features, f"a tree for {tree.n_features} features in a model for {n_features}")
    left, right, depth = (
        tree.children_left,
        tree.children_right,
        _depths(tree.children_left, tree.children_right),
    )
    inner = left != -1
    _demand(
        bool(((tree.feature[inner] >= 0) & (tree.feature[inner] < n_features)).all()),
        "a feature out of range",
    )
    _demand(not (right[~inner] != -1).any(), "a leaf with a child")
    _demand(depth <= tree.max_depth, f"a tree of depth {depth} that claims {tree.max_depth}")


def _depths(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> int:
    """The depth of the deepest node that the root reaches; children must come after their parents."""
    index = np.flatnonzero(left != -1)
    children = np.stack([left[index], right[index]])
    _demand(bool(((children > index) & (children < len(left))).all()), "a tree with a child out of range")
    level, depth = np.array([0]), -1
    while len(level):
        depth += 1
        _demand(len(level) <= len(left), "a tree whose branches meet")
        level = level[left[level] != -1]
        level = np.concatenate([left[level], right[level]])
    return depth


def _check_members(ensemble: Any) -> None:
    from sklearn.tree import BaseDecisionTree

    members = np.asarray(ensemble.estimators_, dtype=object).ravel()
    for member in members:
        _demand(isinstance(member, BaseDecisionTree) and hasattr(member, "tree_"), "a forest of something else")
        _demand(member.n_features_in_ == ensemble.n_features_in_, "a forest whose trees differ in features")


def _check_stages(boosted: Any) -> None:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    init = boosted.init_
    _demand(init == "zero" or type(init) in (DummyClassifier, DummyRegressor), "boosting on another model")
    stages, row = boosted.estimators_, np.zeros((1, boosted.n_features_in_))
    _demand(isinstance(stages, np.ndarray) and stages.ndim == 2, "boosting stages of the wrong shape")
    start = boosted._raw_predict_init(row.astype(np.float32))
    _demand(start.shape == (1, stages.shape[1]), f"{stages.shape[1]} trees a stage for {start.shape[1]} outputs")
    for member in stages.ravel():
        _demand(
            member.tree_.n_outputs == 1 and member.tree_.max_n_classes == 1,
            "a stage that is no regression tree",
        )


def _check_histograms(model: Any) -> Iterator[int]:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    _demand(
        getattr(model, "_preprocessor", None) is None,
        "native categories; encode them in the pipeline instead",
    )
    for predictor in (tree for stage in model._predictors for tree in stage):
        _demand(type(predictor) is TreePredictor, "a boosting stage without a tree")
        nodes = predictor.nodes
        _demand(isinstance(nodes, np.ndarray) and nodes.dtype == PREDICTOR_RECORD_DTYPE, "nodes of the wrong type")
        _demand(nodes.ndim == 1 and len(nodes) >= 1, "a tree without nodes")
        _demand(not nodes["is_categorical"].any(), "native categories; encode them in the pipeline instead")
        inner = nodes["is_leaf"] == 0
        left = np.where(inner, nodes["left"].astype(np.int64), -1)
        _depths(left, np.where(inner, nodes["right"].astype(np.int64), -1))
        feature = nodes["feature_idx"][inner]
        _demand(bool(((feature >= 0) & (feature < model.n_features_in_)).all()), "a feature out of range")
        yield id(predictor)
