"""Trees whose indices leave their arrays are refused before native code could follow them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.tree._tree import Tree

from mlops_site.core.errors import Invalid
from registry.artifacts.formats import dump_skops, load_skops
from registry.artifacts.trees import check_trees

Fitted = Callable[[str, str], Pipeline]
State = dict[str, Any]


def tampered(tree: Tree, change: Callable[[State], None], *, features: int | None = None) -> Tree:
    """A copy of the tree with its state changed."""
    n_features, n_classes, n_outputs = tree.__reduce__()[1]
    state = copy.deepcopy(tree.__getstate__())
    change(state)
    new = Tree(features or n_features, n_classes, n_outputs)
    new.__setstate__(state)
    return new


def put(field: str, index: int, value: int) -> Callable[[State], None]:
    def change(state: State) -> None:
        state["nodes"][field][index] = value

    return change


TREE_TRICKS: dict[str, Callable[[State], None]] = {
    "child far outside": put("left_child", 0, 10**9),
    "child just outside": lambda state: put("right_child", 0, len(state["nodes"]))(state),
    "negative child": put("right_child", 0, -7),
    "cycle to the root": put("left_child", 1, 0),
    "child of itself": put("left_child", 0, 0),
    "feature outside": put("feature", 0, 10**6),
    "negative feature": put("feature", 0, -3),
    "depth that lies": lambda state: state.update(max_depth=0),
    "no nodes": lambda state: state.update(node_count=0),
}


@pytest.mark.parametrize("trick", TREE_TRICKS)
@pytest.mark.parametrize("name", ["random_forest", "gradient_boosting"])
def test_a_tampered_tree_is_refused(fitted: Fitted, name: str, trick: str) -> None:
    pipeline = copy.deepcopy(fitted(name, "binary"))
    member = np.asarray(pipeline["model"].estimators_, dtype=object).ravel()[0]
    member.tree_ = tampered(member.tree_, TREE_TRICKS[trick])
    with pytest.raises(Invalid) as raised:
        check_trees(pipeline)
    assert raised.value.code == "unsound_tree"


def test_a_tampered_tree_is_refused_from_a_file(fitted: Fitted) -> None:
    pipeline = copy.deepcopy(fitted("random_forest", "binary"))
    member = pipeline["model"].estimators_[3]
    member.tree_ = tampered(member.tree_, put("left_child", 0, 10**9))
    with pytest.raises(Invalid, match="child out of range"):
        load_skops(dump_skops(pipeline))


def test_a_tree_for_more_features_than_its_model_is_refused(fitted: Fitted) -> None:
    pipeline = copy.deepcopy(fitted("random_forest", "binary"))
    member = pipeline["model"].estimators_[0]
    member.tree_ = tampered(member.tree_, put("feature", 0, 50), features=99)
    with pytest.raises(Invalid, match="a tree for 99 features"):
        check_trees(pipeline)
    member.n_features_in_ = 99
    with pytest.raises(Invalid, match="differ in features"):
        check_trees(pipeline)


def test_boosting_into_too_few_outputs_is_refused(fitted: Fitted) -> None:
    """Three trees a stage would write past a buffer that the start value made one column wide."""
    pipeline = copy.deepcopy(fitted("gradient_boosting", "many"))
    binary = fitted("gradient_boosting", "binary")["model"]
    for attribute in ("init_", "_loss", "n_classes_", "classes_"):
        setattr(pipeline["model"], attribute, getattr(binary, attribute))
    with pytest.raises(Invalid, match="trees a stage"):
        check_trees(pipeline)


def test_a_loose_tree_is_refused(fitted: Fitted) -> None:
    tree = fitted("random_forest", "binary")["model"].estimators_[0].tree_
    with pytest.raises(Invalid, match="outside a tree model"):
        check_trees({"anything": [tree]})


@pytest.mark.parametrize(
    ("field", "value"),
    [("left", 10**9), ("right", 0), ("left", 0), ("feature_idx", 10**6), ("feature_idx", -1), ("is_categorical", 1)],
)
def test_a_tampered_histogram_tree_is_refused(fitted: Fitted, field: str, value: int) -> None:
    pipeline = copy.deepcopy(fitted("hist_gradient_boosting", "binary"))
    pipeline["model"]._predictors[2][0].nodes[field][0] = value
    with pytest.raises(Invalid) as raised:
        check_trees(pipeline)
    assert raised.value.code == "unsound_tree"


def test_sound_trees_pass(fitted: Fitted, cases: list[tuple[str, str]]) -> None:
    for name, target in cases:
        check_trees(fitted(name, target))
