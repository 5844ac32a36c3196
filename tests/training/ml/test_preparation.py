"""What was prepared is kept by content, bounded, and no part of any model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.pipeline import Pipeline

from registry.artifacts.trees import parts
from tests.training.ml.test_estimators import KINDS, claims, truth
from training.ml import estimators, evaluate, preparation, splits
from training.ml.preparation import Preparations


def scores(name: str, frame: pd.DataFrame, prepared: Preparations | None = None, **params: Any) -> Any:
    recipe = estimators.Recipe(name, "classification", KINDS, params, seed=0)
    y = truth(frame, "classification")
    folds = splits.folds("stratified", y, task_type="classification", n_folds=3, seed=0)
    classes = ("low", "high")
    return evaluate.cross_validate(recipe, frame, y, folds, metric="roc_auc", classes=classes, prepared=prepared)


def test_a_second_trial_prepares_nothing_and_scores_the_same() -> None:
    frame = claims(200)
    kept = Preparations(frame)
    first = scores("logistic_regression", frame, kept)
    assert (kept.hits, kept.misses) == (0, 6)  # three folds, each to train on and to be tested
    again = scores("logistic_regression", frame, kept, C=0.01)
    assert (kept.hits, kept.misses) == (6, 6)
    assert again.values == scores("logistic_regression", frame, C=0.01).values != first.values


def test_model_types_that_prepare_alike_share_it() -> None:
    frame = claims(200)
    kept = Preparations(frame)
    scores("extra_trees", frame, kept, n_estimators=100)
    scores("random_forest", frame, kept, n_estimators=100)
    assert (kept.hits, kept.misses) == (6, 6)
    scores("hist_gradient_boosting", frame, kept, max_iter=50)
    assert (kept.hits, kept.misses) == (6, 12)


def test_other_rows_are_other_content() -> None:
    frame = claims(200)
    plan = estimators.Recipe("random_forest", "classification", KINDS, {}, seed=0).plan
    rows, rest = np.arange(100), np.arange(100, 200)
    kept = Preparations(frame)
    one, _ = kept.fold(plan, rows, rest)
    swapped, _ = kept.fold(plan, rest, rows)
    assert kept.hits == 0
    assert not np.array_equal(one.columns.transform(frame).toarray(), swapped.columns.transform(frame).toarray())


def test_it_is_bounded_and_the_least_recent_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = claims(200)
    kept = Preparations(frame, max_bytes=60_000)
    expected = scores("hist_gradient_boosting", frame, max_iter=50).values
    for _ in range(2):
        assert scores("hist_gradient_boosting", frame, kept, max_iter=50).values == expected
    assert kept.nbytes <= 60_000
    assert kept.misses > 6
    nothing = Preparations(frame, max_bytes=0)
    assert scores("hist_gradient_boosting", frame, nothing, max_iter=50).values == expected
    assert nothing.nbytes == 0


def test_no_trial_can_change_what_the_next_one_sees() -> None:
    frame = claims(100)
    for name in ("random_forest", "hist_gradient_boosting"):
        plan = estimators.Recipe(name, "classification", KINDS, {}, seed=0).plan
        (_, matrix), rest = Preparations(frame).fold(plan, np.arange(60), np.arange(60, 100))
        for made in (matrix, rest):
            with pytest.raises(ValueError, match="read-only"):
                (made if isinstance(made, np.ndarray) else made.data)[0] = 1.0


def test_a_model_of_prepared_rows_is_the_model_of_the_rows_and_holds_none_of_them() -> None:
    frame = claims(200)
    y = truth(frame, "classification")
    recipe = estimators.Recipe("logistic_regression", "classification", KINDS, {}, seed=0)
    whole = recipe.fit(frame, y)
    rows = Preparations(frame).fold(recipe.plan, np.arange(200), np.arange(200))[0]
    np.testing.assert_array_equal(whole["model"].coef_, recipe.trained(*rows, y).coef_)
    held = list(parts(Pipeline([("columns", rows.columns), ("model", recipe.trained(*rows, y))])))
    assert not any(isinstance(part, Preparations) for part in held)
    assert max(part.size for part in held if isinstance(part, np.ndarray)) < len(frame)


def test_signs_stand_where_the_numbers_are() -> None:
    frame = claims(100)
    columns = preparation.native(KINDS).fit(frame)
    found = preparation.signs(columns, columns.transform(frame).shape[1], {"cost": 1, "age": -1})
    assert found[:4] == [-1, 1, 0, 0]
    assert not any(found[2:])


MONOTONE = [(name, task) for task in estimators.MODEL_TYPES for name in estimators.names(task)]


@pytest.mark.parametrize(("name", "task"), MONOTONE)
def test_an_answer_rises_with_what_it_is_held_to(name: str, task: Any) -> None:
    frame = claims(300)
    noisy = np.where(np.arange(300) % 3 == 0, -1, 1) * frame["cost"].to_numpy()
    y = np.where(noisy > np.median(noisy), 1, 0) if task == "classification" else noisy
    params = {key: 40 for key in ("n_estimators", "max_iter") if key in estimators.search_space(name, task)}
    recipe = estimators.Recipe(name, task, KINDS, params, seed=0, monotone={"cost": -1})
    if not estimators.takes_monotone(name, task):
        with pytest.raises(ValueError, match="monotone needs one of random_forest"):
            recipe.fit(frame, y)
        return
    model = recipe.fit(frame, y)
    rows = pd.concat([frame.head(1)] * 200, ignore_index=True).assign(cost=np.linspace(10, 5_000, 200))
    said = model.predict_proba(rows)[:, 1] if task == "classification" else model.predict(rows)
    assert (np.diff(said) <= 1e-12).all()


@pytest.mark.parametrize("name", ["random_forest", "extra_trees"])
def test_a_forest_grows_the_same_trees_on_columns_that_hold_their_zeros(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = claims(300)
    recipe = estimators.Recipe(name, "classification", KINDS, {"n_estimators": 10}, seed=3)
    columns, matrix = recipe.plan.fitted(frame)
    assert isinstance(preparation.dense(matrix), np.ndarray)
    quick = recipe.trained(columns, matrix, truth(frame, "classification")).predict_proba(matrix)
    monkeypatch.setattr(preparation, "dense", lambda matrix: matrix)
    np.testing.assert_array_equal(
        quick, recipe.trained(columns, matrix, truth(frame, "classification")).predict_proba(matrix)
    )


def test_columns_that_would_be_too_large_with_their_zeros_stay_without() -> None:
    matrix = csr_matrix(np.eye(100))
    assert preparation.dense(matrix, max_bytes=40_000).shape == (100, 100)
    assert preparation.dense(matrix, max_bytes=39_999) is matrix
