"""Models fitted to rows that stay in their file, in this process or on a Dask cluster: those of one frame."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from tests.training.ml.test_estimators import KINDS, claims, truth
from training.ml import estimators, evaluate, merged, parted, preparation, splits, tables
from training.ml.executors import Executor, Here, on_dask
from training.ml.laid import Laid
from training.ml.parted import Parted
from training.ml.preparation import Preparations
from training.ml.stored import Stored

ROWS = 900
CLOSE: Any = {"rtol": 0, "atol": 1e-9}
KNOWN = [(name, task) for task in estimators.MODEL_TYPES for name in estimators.in_parts(task)]
every_case = pytest.mark.parametrize(("name", "task"), KNOWN)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts so small that a short table has many."""
    monkeypatch.setattr(tables, "ROW_GROUP", 130)
    monkeypatch.setattr(parted, "PART_ROWS", 50)
    monkeypatch.setattr("training.ml.streams.Stream.batch_size", 70)


@pytest.fixture(scope="module")
def dask() -> Iterator[Executor]:
    with on_dask("", processes=1, memory_mb=600) as executor:
        yield executor


@pytest.fixture
def frame() -> pd.DataFrame:
    return claims(ROWS)


def in_file(frame: pd.DataFrame, folder: Path, executor: Executor) -> Parted:
    path = folder / "claims.parquet"
    path.write_bytes(tables.to_parquet(frame))
    return Parted(Stored(path), dict(KINDS), np.arange(len(frame)), executor)


def recipe(name: str, task: Any, **params: Any) -> estimators.Recipe:
    return estimators.Recipe(name, task, KINDS, params, seed=3)


def weights() -> Any:
    return np.random.default_rng(1).choice([1.0, 3.0], ROWS)


def test_rows_are_read_by_position_and_in_order(tmp_path: Path, frame: pd.DataFrame) -> None:
    rows = in_file(frame, tmp_path, Here())
    assert [len(part) for part in rows.parts()][:4] == [50, 50, 30, 50]
    pd.testing.assert_frame_equal(rows.read(), frame)
    picked = np.array([3, 129, 130, 700])
    pd.testing.assert_frame_equal(rows.iloc[picked].read(), frame.iloc[picked].reset_index(drop=True))
    twice = rows.iloc[np.arange(100, 800)].iloc[np.array([0, 5])]
    assert twice.places.tolist() == [100, 105]
    np.testing.assert_array_equal(rows.iloc[picked].number("cost"), frame["cost"].to_numpy()[picked])
    assert list(rows.map(lambda part, y: len(part) == len(y), np.arange(ROWS))) == [True] * 21
    some = rows.sample(100)
    assert (len(some), len(np.unique(some)), some.tolist()) == (100, 100, sorted(some.tolist()))
    assert 300 < some.mean() < 600


def test_what_the_rows_have_of_values_is_told(tmp_path: Path, frame: pd.DataFrame) -> None:
    rows = in_file(frame, tmp_path, Here())
    told = rows.told(1_000)
    assert set(told["site"]) == set(frame["site"])
    some = sorted(set(frame["site"]))[:5]
    assert set(rows.told(3)["site"]) == set(some)
    assert [bool(told[name].isna().any()) for name in ("age", "cost", "empty")] == [True, False, True]


@every_case
def test_columns_are_prepared_as_in_one_frame(name: str, task: Any, tmp_path: Path, frame: pd.DataFrame) -> None:
    plan, rows = recipe(name, task).plan, np.sort(np.random.default_rng(0).choice(ROWS, 600, replace=False))
    one, parts = plan.fitted(frame.iloc[rows]), plan.fitted(in_file(frame, tmp_path, Here()).iloc[rows])
    assert list(parts.columns.get_feature_names_out()) == list(one.columns.get_feature_names_out())
    found, expected = (each.columns.transform(frame) for each in (parts, one))
    assert type(found) is type(expected)
    dense = [np.asarray(each.todense() if hasattr(each, "todense") else each) for each in (found, expected)]
    np.testing.assert_allclose(dense[0], dense[1], **CLOSE)
    assert frame["site"].nunique() > 50  # levels that share a column are among them


@every_case
def test_of_too_many_levels_the_rarest_are_not_known(
    name: str, task: Any, tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, levels = recipe(name, task).plan, frame["site"].value_counts()
    monkeypatch.setattr(preparation, "KNOWN_LEVELS", 60)
    one, parts = plan.fitted(frame), plan.fitted(in_file(frame, tmp_path, Here()))
    for found in (one, parts):
        encoder = found.columns.named_transformers_["category"]
        known = encoder.categories_[0].tolist()
        assert (len(known), known, encoder.categories) == (60, sorted(known), "auto")
        assert levels[known].min() >= levels.drop(known).max()
    assert len(levels) > 60
    one_matrix, other = (found.columns.transform(frame) for found in (one, parts))
    gap = abs(one_matrix - other)
    assert gap.max() < 1e-9 or np.nanmax(gap) < 1e-9


def test_levels_are_counted_in_bounded_memory(
    tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few frequent levels among many of one row each are found whatever is forgotten between."""
    site = np.where(
        np.arange(ROWS) % 3 > 0, frame["site"].str[:1] + (frame.index % 7).astype(str), frame.index.astype(str)
    )
    rows = in_file(frame.assign(site=site), tmp_path, Here())
    monkeypatch.setattr(merged, "MAX_COUNTED", 100)
    found = merged._levels(rows, 8, 40)["site"]
    assert pd.Series(site).nunique() > 250
    counts: dict[Any, int] = pd.Series(site).value_counts().to_dict()
    assert sorted(set(found)) == merged.frequent(counts, 40)
    assert len(found) == 40 + 7


@every_case
@pytest.mark.parametrize("weighted", [False, True])
def test_the_model_is_that_of_one_frame(
    name: str, task: Any, weighted: bool, tmp_path: Path, frame: pd.DataFrame
) -> None:
    """LightGBM's to the last bit; linear ones are at the minimum, which scikit-learn's solvers come near to."""
    counted = weights() if weighted else None
    y, rows = truth(frame, task), in_file(frame, tmp_path, Here())
    whole = estimators.Recipe(name, task, KINDS, {}, seed=3).fit(frame, y, counted)
    parts = recipe(name, task).fit(rows, y, counted)
    classes = None if task == "regression" else ("low", "high")
    said, expected = evaluate.predicted(parts, rows, classes), evaluate.predicted(whole, frame, classes)
    np.testing.assert_allclose(said, expected, rtol=0, atol=0 if name == "lightgbm" else 0.02)
    np.testing.assert_array_equal(said, evaluate.predicted(parts, frame, classes))


@pytest.mark.parametrize("least", [5, 40])
def test_bins_of_some_rows_are_those_of_one_frame(
    least: int, tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(estimators._LIGHTGBM_FIXED, "bin_construct_sample_cnt", 300)
    y, asked = (
        truth(frame, "classification"),
        recipe("lightgbm", "classification", n_estimators=20, min_child_samples=least),
    )
    one, parts = (asked.fit(rows, y).predict_proba(frame) for rows in (frame, in_file(frame, tmp_path, Here())))
    np.testing.assert_array_equal(one, parts)


@every_case
def test_it_is_the_same_on_a_cluster(
    name: str, task: Any, tmp_path: Path, frame: pd.DataFrame, dask: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 400)
    monkeypatch.setattr(parted, "PART_ROWS", 300)
    y, few = truth(frame, task), recipe(name, task, **({"n_estimators": 50} if name == "lightgbm" else {}))
    one, other = (few.fit(in_file(frame, tmp_path, executor), y) for executor in (Here(), dask))
    classes = None if task == "regression" else ("low", "high")
    found = evaluate.predicted(other, in_file(frame, tmp_path, dask), classes)
    near = 0 if name == "lightgbm" else 1e-12  # sums of other threads
    np.testing.assert_allclose(found, evaluate.predicted(one, frame, classes), rtol=0, atol=near)


def prepared(rows: Parted, name: str, task: Any) -> tuple[Any, Any]:
    found = recipe(name, task).plan.fitted(rows)
    return found.matrix, np.asarray(found.columns.transform(rows.read()).todense())


@pytest.mark.parametrize("alpha", [0.01, 1.0, 300.0])
def test_linear_regression_is_the_exact_minimum(alpha: float, tmp_path: Path, frame: pd.DataFrame) -> None:
    blocks, matrix = prepared(in_file(frame, tmp_path, Here()), "linear_regression", "regression")
    y = 1e6 + truth(frame, "regression")
    found = merged.ridge(Ridge(alpha=alpha), blocks, y, weights())
    exact = Ridge(alpha=alpha, solver="cholesky").fit(matrix, y, sample_weight=weights())
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=0, atol=1e-8)
    assert found.intercept_ == pytest.approx(exact.intercept_, rel=1e-12)


@pytest.mark.parametrize(
    ("classes", "params", "sample", "most_passes"),
    [
        (2, {"C": 0.01}, 20_000, 12),
        (2, {"C": 1.0, "class_weight": "balanced"}, 60, 90),
        (2, {"C": 100.0}, 20_000, 25),
        (3, {"C": 0.01}, 60, 200),
        (3, {"C": 1.0, "class_weight": "balanced"}, 20_000, 100),
    ],
)
def test_logistic_regression_comes_to_the_same_minimum(
    classes: int,
    params: Any,
    sample: int,
    most_passes: int,
    tmp_path: Path,
    frame: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 450)
    monkeypatch.setattr(parted, "PART_ROWS", 450)
    monkeypatch.setattr(merged, "SAMPLE_ROWS", sample)
    blocks, matrix = prepared(in_file(frame, tmp_path, Here()), "logistic_regression", "classification")
    value = truth(frame, "regression") + np.random.default_rng(0).normal(0, 1, ROWS)
    y = np.array(["a", "b", "c"])[np.digitize(value, np.quantile(value, [0.7] if classes == 2 else [0.7, 0.97]))]
    passes: list[int] = []
    monkeypatch.setattr(merged, "_loss", counting(merged._loss, passes))
    found = merged.logistic(LogisticRegression(**params), blocks, y, weights())
    exact = LogisticRegression(**params, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(
        matrix, y, sample_weight=weights()
    )
    assert found.classes_.tolist() == exact.classes_.tolist()
    assert found.coef_.shape == exact.coef_.shape
    np.testing.assert_allclose(found.predict_proba(matrix), exact.predict_proba(matrix), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=0, atol=1e-4)
    assert sum(passes) / ROWS < most_passes


def counting(function: Any, passes: list[int]) -> Any:
    def counted(matrix: Any, *rest: Any, **more: Any) -> Any:
        passes.append(matrix.shape[0])
        return function(matrix, *rest, **more)

    return counted


@every_case
def test_folds_are_scored_as_in_one_frame(name: str, task: Any, tmp_path: Path, frame: pd.DataFrame) -> None:
    y = truth(frame, task)
    folds = splits.folds("stratified", y, task_type=task, n_folds=3, seed=0)
    asked: dict[str, Any] = {"metric": "rmse" if task == "regression" else "roc_auc"}
    asked["classes"] = None if task == "regression" else ("low", "high")
    rows = in_file(frame, tmp_path, Here())
    kept = Preparations(rows)
    found = evaluate.cross_validate(recipe(name, task), rows, y, folds, prepared=kept, **asked)
    expected = evaluate.cross_validate(recipe(name, task), frame, y, folds, **asked)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=2e-3)
    again = evaluate.cross_validate(recipe(name, task), rows, y, folds, prepared=kept, **asked)
    assert again.values == found.values
    assert (kept.hits, kept.misses, kept.nbytes) == (6, 6, 0)


def test_a_linear_regression_reads_the_rows_once_for_all_penalties(
    tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks, matrix = prepared(in_file(frame, tmp_path, Here()), "linear_regression", "regression")
    y = truth(frame, "regression")
    merged.ridge(Ridge(alpha=1.0), blocks, y)
    monkeypatch.setattr(merged, "_products", lambda *_: pytest.fail("it reads them again"))
    found = merged.ridge(Ridge(alpha=9.0), blocks, y)
    exact = Ridge(alpha=9.0, solver="cholesky").fit(matrix, y)
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=0, atol=1e-8)


def test_another_model_type_says_which_can(tmp_path: Path, frame: pd.DataFrame) -> None:
    rows = in_file(frame, tmp_path, Here())
    with pytest.raises(ValueError, match="one of logistic_regression, lightgbm but got 'random_forest'"):
        recipe("random_forest", "classification").fit(rows, truth(frame, "classification"))


def _lost_once(flag: str, columns: Any, y: Any) -> int:
    """Ends its process the first time that it sees the last rows."""
    if len(y) and y[-1] == ROWS - 1 and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return len(columns)


def test_parts_of_a_lost_worker_are_done_again(tmp_path: Path, frame: pd.DataFrame, dask: Executor) -> None:
    rows = in_file(frame, tmp_path, dask)
    assert sum(rows.map(partial(_lost_once, str(tmp_path / "lost")), np.arange(ROWS))) == ROWS
    assert (tmp_path / "lost").exists()
    blocks = recipe("linear_regression", "regression").plan.fitted(rows).matrix
    model = merged.ridge(Ridge(), blocks, truth(frame, "regression"))
    assert np.isfinite(model.coef_).all()


def test_what_a_lost_worker_kept_is_made_again(tmp_path: Path, frame: pd.DataFrame, dask: Executor) -> None:
    kept = in_file(frame, tmp_path, dask).keep(parted._these, np.arange(ROWS))
    assert sum(kept.map(partial(_lost_once, str(tmp_path / "lost")))) == ROWS
    assert (tmp_path / "lost").exists()
    assert list(kept.map(_first))[:4] == [0, 50, 100, 130]


def _first(columns: Any, y: Any) -> int:
    return int(y[0])


def test_a_value_laid_down_is_gone_with_its_object_and_sent_as_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one = Laid(np.arange(5))
    other: Laid[Any] = pickle.loads(pickle.dumps(one))
    assert len(list(tmp_path.iterdir())) == 2
    del one
    assert len(list(tmp_path.iterdir())) == 1
    assert other.read().tolist() == [0, 1, 2, 3, 4]
