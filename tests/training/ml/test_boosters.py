"""LightGBM and XGBoost as scikit-learn models: their own answers, in single precision as in double."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import pytest

from mlops_site.stats.scored import TaskType
from training.ml import boosters
from training.ml.histograms import settled

ROWS, COLUMNS = 500, 5
TARGETS = ("value", "binary", "texts", "many")


def matrix(seed: int = 0) -> np.ndarray:
    """Numbers with gaps in one column, a column of whole numbers and one that never varies."""
    random = np.random.default_rng(seed)
    found = random.normal(size=(ROWS, COLUMNS))
    found[::4, 2] = np.nan
    found[:, 3] = found[:, 3].round()
    found[:, 4] = 7.0
    return found


def truth(columns: np.ndarray, target: str) -> Any:
    value = 2 * columns[:, 0] + np.nan_to_num(columns[:, 2]) + columns[:, 3]
    if target == "value":
        return value * 100
    if target == "many":
        return np.digitize(value, [-1, 1])
    return (value > 1).astype(int) if target == "binary" else np.where(value > 1, "high", "low")


def trained(kind: Any, target: str, **settings: Any) -> Any:
    task: TaskType = "regression" if target == "value" else "classification"
    given = {"n_estimators": 25, "learning_rate": 0.2, **settings}
    return kind(task, random_state=1, **given).fit(matrix(), truth(matrix(), target))


def strange() -> np.ndarray:
    rows = matrix(seed=3)
    rows[:50] = np.nan
    rows[50:100] *= 1e9
    rows[100:150, 4] = np.nan  # nothing was missing here in training
    return rows


@pytest.fixture
def own_answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the trainers themselves say of the strange rows, in the order in which they are asked."""
    import lightgbm
    import xgboost

    said: list[Any] = []
    originals: dict[Any, Any] = {lightgbm: lightgbm.train, xgboost: xgboost.train}

    def noted(library: Any) -> Any:
        def train(*args: Any, **kwargs: Any) -> Any:
            booster = originals[library](*args, **kwargs)
            rows = strange().astype(np.float32)
            said.append(booster.predict(xgboost.DMatrix(rows) if library is xgboost else rows))
            return booster

        return train

    for library in originals:
        monkeypatch.setattr(library, "train", noted(library))
    return said


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("kind", "tolerance"), [(boosters.LightGBM, 1e-12), (boosters.XGBoost, 2e-6)])
def test_the_rebuilt_model_answers_as_its_trainer(
    kind: Any, tolerance: float, target: str, own_answers: list[Any]
) -> None:
    model = trained(kind, target)
    rows = strange().astype(np.float32).astype(np.float64)
    found = model.predict(rows) if target == "value" else model.predict_proba(rows)
    if target in ("binary", "texts"):
        assert model.classes_.tolist() == ([0, 1] if target == "binary" else ["high", "low"])
        found = found[:, 1]
    scale = max(1.0, np.abs(own_answers[0]).max())
    np.testing.assert_allclose(found, own_answers[0], rtol=0, atol=tolerance * scale)
    # Every comparison says of a double what it says of that double in single precision.
    fine = strange() * (1 + 1e-9)
    answer = model.predict if target == "value" else model.predict_proba
    np.testing.assert_array_equal(answer(fine), answer(fine.astype(np.float32).astype(np.float64)))


def test_a_tree_of_nothing_but_a_leaf_is_rebuilt() -> None:
    for kind, settings in ((boosters.LightGBM, {"min_child_samples": ROWS}), (boosters.XGBoost, {"max_depth": 0})):
        model = trained(
            kind,
            "value",
            **settings,
            **({"grow_policy": "lossguide", "max_leaves": 1} if "max_depth" in settings else {}),
        )
        assert np.unique(model.predict(matrix())).size == 1


@pytest.mark.parametrize("kind", [boosters.LightGBM, boosters.XGBoost])
def test_a_trainer_that_would_answer_otherwise_is_found_out(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = "_lightgbm_tree" if kind is boosters.LightGBM else "_xgboost_tree"
    original = getattr(boosters, read)

    def misread(part: Any) -> Any:
        tree = original(part)
        return tree._replace(threshold=tree.threshold + 0.5)

    monkeypatch.setattr(boosters, read, misread)
    with pytest.raises(RuntimeError, match="must answer as their trainer's but differ by"):
        trained(kind, "value")


@pytest.mark.parametrize("threads", [1, 2])
def test_lightgbm_is_the_same_model_with_any_number_of_threads(threads: int) -> None:
    one = trained(boosters.LightGBM, "value").predict(matrix())
    np.testing.assert_array_equal(trained(boosters.LightGBM, "value", n_jobs=threads).predict(matrix()), one)


def test_a_threshold_is_settled_between_two_numbers_of_single_precision() -> None:
    random = np.random.default_rng(4)
    exact = np.concatenate([random.normal(size=3_000) * 10.0 ** random.integers(-30, 30, 3_000), [0.0, 1e300, np.inf]])
    moved = settled(exact)
    with np.errstate(over="ignore"):
        below = exact.astype(np.float32)
        around = (below, np.nextafter(below, np.float32(np.inf)), np.nextafter(below, np.float32(-np.inf)))
    for near in around:
        one = near.astype(np.float64)
        np.testing.assert_array_equal(one <= moved, one <= exact)  # no number of single precision changes sides
    moved = moved[np.abs(moved) < np.finfo(np.float32).max]
    for close in (moved, np.nextafter(moved, np.inf), np.nextafter(moved, -np.inf)):
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(close <= moved, close.astype(np.float32) <= moved.astype(np.float32))


def test_without_a_card_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import xgboost

    boosters.device.cache_clear()
    try:
        monkeypatch.setattr(boosters, "_cards", lambda: 0)
        assert boosters.device()[0] == "cpu"
        boosters.device.cache_clear()
        monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": True})
        assert boosters.device() == ("cpu", f"xgboost {xgboost.__version__} finds no CUDA device")
        boosters.device.cache_clear()
        monkeypatch.setattr(boosters, "_cards", lambda: 2)
        assert boosters.device() == ("cuda", f"xgboost {xgboost.__version__} finds 2 CUDA devices")
    finally:
        boosters.device.cache_clear()


@pytest.mark.gpu
def test_a_graphics_card_is_used_and_what_it_gains(capsys: pytest.CaptureFixture[str]) -> None:
    import xgboost

    random = np.random.default_rng(0)
    columns = random.normal(size=(200_000, 40)).astype(np.float32)
    answer = (columns[:, :5].sum(axis=1) + random.normal(size=len(columns)) > 0).astype(int)
    took, said, used = {}, {}, {}
    for where in ("cuda", "cpu"):
        start = time.perf_counter()
        trainer = boosters.XGBoost("classification", random_state=0, n_estimators=200, max_depth=8, device=where)
        model = trainer.fit(columns, answer)
        took[where], said[where] = time.perf_counter() - start, model.predict_proba(columns[:2_000])[:, 1]
        rows = xgboost.DMatrix(columns[:100], answer[:100])
        probe = xgboost.train({"device": where, "verbosity": 0}, rows, num_boost_round=1)
        used[where] = str(probe.save_config())
    with capsys.disabled():
        sys.stdout.write(
            f"\nxgboost on {boosters.device()}: {took['cuda']:.2f} s, on the CPU {took['cpu']:.2f} s,"
            f" speed-up {took['cpu'] / took['cuda']:.1f}\n"
        )
    assert boosters.device()[0] == "cuda"
    assert '"device":"cuda' in used["cuda"].replace(" ", "")
    assert np.abs(said["cuda"] - said["cpu"]).mean() < 0.02
