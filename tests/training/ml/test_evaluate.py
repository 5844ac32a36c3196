"""Thresholds, fold scores against scikit-learn, and what the holdout report holds."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.metrics import f1_score, roc_auc_score

from mlops_site.stats.columns import Kind
from training.ml.estimators import Recipe
from training.ml.evaluate import (
    best_threshold,
    calibration,
    class_order,
    cross_validate,
    holdout_report,
    importance,
    judged,
    predicted,
)
from training.ml.splits import folds


def problem(classes: int = 2, n: int = 400) -> tuple[pd.DataFrame, Any]:
    x, y = make_classification(
        n,
        5,
        n_informative=3,
        n_redundant=0,
        n_clusters_per_class=1,
        n_classes=classes,
        weights=[0.7, 0.15][: classes - 1],
        random_state=0,
        shuffle=False,
    )
    return pd.DataFrame(x, columns=list("abcde")), np.array(["no", "yes", "maybe"])[y]


def recipe(task: Any = "classification", name: str = "logistic_regression") -> Recipe:
    kinds: dict[str, Kind] = dict.fromkeys("abcde", "number")
    return Recipe(name, task, kinds, {}, seed=0)


def test_fold_scores_equal_those_of_a_plain_loop() -> None:
    frame, y = problem()
    splits = folds("stratified", y, task_type="classification", n_folds=4, seed=0)
    heard: list[tuple[int, float]] = []
    found = cross_validate(
        recipe(), frame, y, splits, metric="roc_auc", classes=("no", "yes"), on_fold=lambda *of: heard.append(of)
    )
    plain = []
    for train, test in splits:
        model = recipe().fit(frame.iloc[train], y[train])
        plain.append(roc_auc_score(y[test] == "yes", model.predict_proba(frame.iloc[test])[:, 1]))
    assert found.values == pytest.approx(plain)
    assert found.mean == pytest.approx(np.mean(plain))
    assert found.se == pytest.approx(np.std(plain, ddof=1) / 2)
    assert [value for _, value in heard] == pytest.approx(plain)
    assert np.isfinite(found.out_of_fold).all()
    assert found.threshold == best_threshold(found.out_of_fold, y == "yes")


def test_decision_metrics_use_the_threshold_of_the_other_folds() -> None:
    frame, y = problem()
    splits = folds("stratified", y, task_type="classification", n_folds=4, seed=0)
    found = cross_validate(recipe(), frame, y, splits, metric="f1_score", classes=("no", "yes"))
    for value, (_, test) in zip(found.values, splits, strict=True):
        others = np.setdiff1d(np.arange(len(y)), test)
        cut = best_threshold(found.out_of_fold[others], y[others] == "yes")
        assert value == pytest.approx(f1_score(y[test] == "yes", found.out_of_fold[test] >= cut))


def test_what_on_fold_raises_ends_the_validation() -> None:
    frame, y = problem()
    splits = folds("stratified", y, task_type="classification", n_folds=4, seed=0)

    def stop(number: int, value: float) -> None:
        raise KeyError(number)

    with pytest.raises(KeyError, match="0"):
        cross_validate(recipe(), frame, y, splits, metric="roc_auc", classes=("no", "yes"), on_fold=stop)
    with pytest.raises(ValueError, match="metric must be a classification metric"):
        cross_validate(recipe(), frame, y, splits, metric="rmse", classes=("no", "yes"))


def test_time_folds_leave_the_first_rows_unpredicted() -> None:
    frame, y = problem()
    order = np.random.default_rng(0).permutation(len(y))
    splits = folds("time", y, task_type="classification", n_folds=3, seed=0, times=order)
    found = cross_validate(recipe(), frame, y, splits, metric="roc_auc", classes=("no", "yes"))
    assert np.isnan(found.out_of_fold).sum() == 100
    assert found.threshold is not None


def test_a_metric_without_value_in_a_fold_is_an_error() -> None:
    frame = problem()[0]
    y = np.r_[np.arange(300.0), np.ones(100)]
    splits = [(np.arange(300), np.arange(300, 400)), (np.arange(100, 400), np.arange(100))]
    model = recipe("regression", "linear_regression")
    with pytest.raises(ValueError, match="r2 must have a value in every fold but has none in fold 1"):
        cross_validate(model, frame, y, splits, metric="r2")


def test_best_threshold_is_the_best_of_all_cuts() -> None:
    random = np.random.default_rng(0)
    score, truth = random.random(200).round(2), random.random(200) < 0.2
    cut = best_threshold(score, truth)
    best = max(f1_score(truth, score >= value) for value in np.unique(score))
    assert f1_score(truth, score >= cut) == pytest.approx(best)
    assert cut not in score
    assert best_threshold([0.2, 0.9], [False, False]) == 0.5
    assert best_threshold([0.4, 0.4], [True, False]) == 0.2


def test_report_of_a_binary_model() -> None:
    frame, y = problem()
    model = recipe().fit(frame.iloc[::2], y[::2])
    held, truth = frame.iloc[1::2], y[1::2]
    found = holdout_report(
        model, held, truth, classes=class_order(y), threshold=0.3, groups=np.arange(200) // 2, draws=100
    )
    assert (found.rows, found.groups, found.threshold) == (200, 100, 0.3)
    auc = found.metrics["roc_auc"]
    assert auc["estimate"] == pytest.approx(roc_auc_score(truth == "yes", model.predict_proba(held)[:, 1]))
    assert auc["lower"] < auc["estimate"] < auc["upper"]
    f1 = f1_score(truth == "yes", model.predict_proba(held)[:, 1] >= 0.3)
    assert found.metrics["f1_score"]["estimate"] == pytest.approx(f1)
    assert sum(found.importance.values()) == pytest.approx(1)
    assert sum(found.importance[name] for name in "abc") > 0.9
    assert sum(part["rows"] for part in found.calibration) == 200
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["rows"] == 200


def test_report_of_three_classes_and_of_a_regression() -> None:
    frame, y = problem(3)
    classes = class_order(y)
    model = recipe().fit(frame, y)
    found = holdout_report(model, frame, y, classes=classes, draws=20)
    assert found.metrics["accuracy"]["estimate"] == pytest.approx(model.score(frame, y))
    assert found.calibration == []
    value = frame["a"].to_numpy() * 3
    regression = recipe("regression", "linear_regression").fit(frame, value)
    report = holdout_report(regression, frame, value, draws=20)
    assert set(report.metrics) == {"mae", "rmse", "r2"}
    assert max(report.importance, key=lambda name: report.importance[name]) == "a"
    assert report.threshold is None


def test_report_says_what_has_no_value() -> None:
    frame, y = problem()
    model = recipe().fit(frame, y)
    found = holdout_report(model, frame[y == "no"], y[y == "no"], classes=("no", "yes"), draws=20)
    assert "both the class" in found.undefined["roc_auc"]
    assert "brier" in found.metrics


def test_a_class_unknown_to_the_model_has_probability_zero() -> None:
    frame, y = problem(3)
    known = y != "maybe"
    model = recipe().fit(frame[known], y[known])
    said = predicted(model, frame, ("maybe", "no", "yes"))
    assert said.shape == (400, 3)
    assert (said[:, 0] == 0).all()
    assert judged(said, y, ("maybe", "no", "yes")).classes == ("maybe", "no", "yes")


def test_calibration_bins_hold_equal_counts_and_true_means() -> None:
    said = np.linspace(0, 1, 1000)
    table = calibration(said, (np.arange(1000) % 2).astype(float))
    assert [part["rows"] for part in table] == [100] * 10
    assert table[3]["predicted"] == pytest.approx(said[300:400].mean())
    assert all(part["observed"] == pytest.approx(0.5) for part in table)
    assert len(calibration(np.full(50, 0.2), np.zeros(50))) == 1


def test_importance_is_uniform_when_nothing_matters() -> None:
    frame = problem()[0]
    model = recipe("regression", "linear_regression").fit(frame, np.full(400, 2.0))
    assert importance(model, frame, np.full(400, 2.0)) == dict.fromkeys("abcde", 0.2)
