"""Calibration helps or is left out, and is the same model in its file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from registry.artifacts.formats import dump_skops, load_skops
from tests.training.ml.test_estimators import KINDS, claims
from training.ml import calibration, estimators, evaluate, splits

N = 3_000


def folds(truth: Any) -> Any:
    return splits.folds("stratified", truth, task_type="classification", n_folds=3, seed=0)


def chances(seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    chance = random.beta(1, 4, N)
    return chance, random.random(N) < chance


def test_what_is_calibrated_already_is_left_alone() -> None:
    for seed in range(3):
        chance, truth = chances(seed)
        found = calibration.choose(chance, truth, folds(truth), ["isotonic"])
        assert found.method is None
        assert found.tried["isotonic"]["log_loss"] >= found.tried["none"]["log_loss"]


@pytest.mark.parametrize("bend", [lambda p: p**0.3, lambda p: 0.5 + p / 4, lambda p: p**3])
def test_what_is_not_is_improved_in_log_loss_and_brier(bend: Any) -> None:
    chance, truth = chances()
    found = calibration.choose(bend(chance), truth, folds(truth), calibration.METHODS)
    assert found.method is not None
    for name in ("log_loss", "brier"):
        assert found.tried[found.method][name] < found.tried["none"][name]
    assert found.tried[found.method]["log_loss"] == min(told["log_loss"] for told in found.tried.values())


def test_a_fold_says_nothing_of_its_own_calibration() -> None:
    gains = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        score, truth = random.random(60), random.random(60) < 0.5  # nothing to learn: isotonic learns it by heart
        found = calibration.choose(score, truth, folds(truth), ["isotonic"])
        by_heart = calibration._fitted("isotonic", score, truth).predict(score)
        gains.append(found.tried["isotonic"]["brier"] - np.square(by_heart - truth).mean())
    assert np.mean(gains) > 0.03


@pytest.mark.parametrize("method", calibration.METHODS)
@pytest.mark.parametrize("name", ["logistic_regression", "extra_trees", "lightgbm"])
@pytest.mark.parametrize("positive", ["low", "high"])
def test_it_is_part_of_the_file_and_answers_as_the_calibrator(name: str, method: Any, positive: str) -> None:
    frame = claims(300)
    truth = np.where(frame["cost"].to_numpy() + 200 * (frame["plan"] == "gold") > 400, "high", "low")
    classes = ("high", "low") if positive == "low" else ("low", "high")
    params = {"n_estimators": 10} if name == "lightgbm" else {"n_estimators": 100} if name == "extra_trees" else {}
    recipe = estimators.Recipe(name, "classification", KINDS, params, seed=0)
    fitted = recipe.fit(frame, truth)
    scores = evaluate.cross_validate(recipe, frame, truth, folds(truth), metric="log_loss", classes=classes)
    done = calibration.calibrated(fitted, method, scores.out_of_fold, truth == positive, positive)
    again = load_skops(dump_skops(done))
    np.testing.assert_array_equal(again.predict_proba(frame), done.predict_proba(frame))
    said = evaluate.predicted(done, frame, classes)
    before = evaluate.predicted(fitted, frame, classes)
    np.testing.assert_allclose(said, calibration.applied(done, before, positive), atol=1e-9)
    assert np.corrcoef(said, before)[0, 1] > 0.8
    assert abs(float(said.mean()) - float((truth == positive).mean())) < 0.1
