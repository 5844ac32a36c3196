"""Planted leaks are found, and honest data is left alone: the claims of the RAND experiment, and an iris."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from mlops_site.demo import claims
from training.ml import leakage, quality, splits
from training.ml.findings import Check


def table(rows: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(5)
    age = random.normal(50, 10, rows)
    return pd.DataFrame(
        {
            "person": np.arange(rows) // 2,
            "age": age,
            "site": random.choice(["a", "b", "c"], rows),
            "late": (random.random(rows) < 1 / (1 + np.exp(-(age - 50) / 10))).astype(int),
            "cost": 100 * age + random.normal(0, 500, rows),
        }
    )


def copies(frame: pd.DataFrame, target: str, *features: str, task: Any = "classification") -> dict[str, Check]:
    return {str(c.column): c for c in leakage.target_copies(frame, target, features, task) if not c.passed}


@pytest.mark.parametrize(
    "planted",
    [
        lambda rows: rows["late"],
        lambda rows: 1 - rows["late"],
        lambda rows: rows["late"].map({0: "no", 1: "yes"}),
        lambda rows: rows["late"] * 7.5 + 3,
        lambda rows: rows["late"].where(rows.index % 10 > 0),  # missing in a tenth of the rows
    ],
)
def test_a_class_under_another_name_blocks(planted: Any) -> None:
    found = copies(table().assign(planted=planted), "late", "age", "site", "planted")
    assert {name: (check.name, check.severity) for name, check in found.items()} == {
        "planted": ("target_copy", "block")
    }


@pytest.mark.parametrize("planted", [lambda c: c, lambda c: -c, lambda c: np.exp(c / 5e3), lambda c: c**3 + 1])
def test_a_number_under_another_scale_blocks(planted: Any) -> None:
    frame = table().assign(planted=lambda rows: planted(rows["cost"]))
    found = copies(frame, "cost", "age", "site", "planted", task="regression")
    assert {name: check.severity for name, check in found.items()} == {"planted": "block"}


def test_what_nearly_tells_the_target_warns() -> None:
    random = np.random.default_rng(6)
    frame = table().assign(
        code=lambda rows: [f"{'ab'[late]}{n % 5}" for n, late in enumerate(rows["late"])],
        near=lambda rows: rows["cost"] + random.normal(0, 20, len(rows)),
    )
    assert {(c.name, c.severity) for c in copies(frame, "late", "code").values()} == {("target_nearly_told", "warn")}
    (found,) = copies(frame, "cost", "near", "age", task="regression").values()
    assert (found.column, found.name) == ("near", "target_nearly_told")
    assert 0.995 < found.observed < 1


def test_names_of_each_case_tell_nothing_of_others() -> None:
    frame = table().assign(name=lambda rows: [f"n{n}" for n in range(len(rows))])
    assert leakage.alone(frame["name"], frame["late"], "classification") == 0.5
    assert copies(frame, "late", "name") == {}


def test_an_honest_feature_that_separates_two_classes_is_only_remarked_upon() -> None:
    iris = load_iris(as_frame=True).frame
    frame = iris.assign(setosa=(iris["target"] == 0).astype(int)).drop(columns="target")
    found = copies(frame, "setosa", *[name for name in frame if name != "setosa"])
    assert {check.severity for check in found.values()} == {"warn"}
    assert "petal length (cm)" in found


def test_entities_on_both_sides_are_counted_with_their_rows() -> None:
    frame = table()
    held = splits.holdout_split(frame, cv="stratified", groups=frame["person"])
    fold = splits.folds("stratified", frame["late"][~held], task_type="classification", n_folds=3, seed=0,
                        groups=frame["person"][~held])  # fmt: skip
    options: dict[str, Any] = {"column": "person", "severity": "block"}
    assert leakage.entity_overlap(frame["person"], held, fold, **options).passed
    apart = np.arange(len(frame)) % 10 == 0  # one of a pair
    found = leakage.entity_overlap(frame["person"], apart, [], **options)
    assert (found.passed, found.observed, found.where) == (False, {"holdout": 40, "folds": 0}, (1, 11, 21, 31, 41))
    torn = splits.folds("stratified", frame["late"][~held], task_type="classification", n_folds=3, seed=0)
    found = leakage.entity_overlap(frame["person"], held, torn, **options)
    assert not found.passed
    assert found.observed["holdout"] == 0
    assert found.observed["folds"] > 100


def test_rows_in_the_holdout_and_in_training_are_counted() -> None:
    frame = table().drop(columns="person")
    held = np.arange(len(frame)) >= 300
    assert leakage.rows_overlap(frame, held).passed
    copied = frame.copy()
    copied.iloc[300:310] = frame.iloc[:10]
    found = leakage.rows_overlap(copied, held)
    assert (found.passed, found.severity, found.observed, found.where[0]) == (False, "warn", 0.1, 301)


class TestTimes:
    def frame(self) -> pd.DataFrame:
        days = pd.date_range("2025-01-01", periods=100).strftime("%Y-%m-%d")
        return pd.DataFrame({"asked": days, "value": np.arange(100.0), "known": days})

    def found(self, frame: pd.DataFrame, **options: Any) -> list[Check]:
        times: Any = {"value": ("known", "block")}
        return list(leakage.after_prediction(frame, times, prediction_time="asked", **options))

    def test_a_value_known_on_the_day_is_in_time(self) -> None:
        assert [check.passed for check in self.found(self.frame())] == [True]

    def test_a_value_known_later_blocks_with_its_rows(self) -> None:
        frame = self.frame()
        frame.loc[[3, 8], "known"] = "2026-02-02"
        frame.loc[5, "known"] = "2027-01-01"
        frame.loc[5, "value"] = np.nan  # nothing of the future
        (check,) = self.found(frame)
        assert (check.name, check.column, check.severity, check.passed) == ("after_prediction", "value", "block", False)
        assert (check.where, check.observed, check.samples) == ((4, 9), 2, ("2026-02-02", "2026-02-02"))
        (hidden,) = self.found(frame, private={"known"})
        assert set(hidden.samples) == {"•••"}

    def test_a_value_without_its_time_is_remarked_upon(self) -> None:
        frame = self.frame()
        frame.loc[7, "known"] = None
        late, unknown = self.found(frame)
        assert (late.passed, unknown.name, unknown.where, unknown.severity) == (True, "known_when", (8,), "warn")

    def test_what_is_no_time_blocks(self) -> None:
        frame = self.frame()
        frame.loc[7, "known"] = "soon"
        (check,) = self.found(frame)
        assert "'known' is none" in check.message
        (check,) = leakage.after_prediction(frame, {"value": ("known", "warn")}, prediction_time="nothing")
        assert check.severity == "block"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_claims_of_the_rand_experiment_are_not_blocked(task: Any) -> None:
    rows = claims.person_years()
    frame, _ = claims.training_rows(rows)
    target = claims.TARGET
    if task == "regression":
        chosen = rows[(rows["year"] == 2) & (rows["site"] <= claims.SITES)]
        frame, target = frame.drop(columns=target).assign(dollars=chosen["meddol"].to_numpy()), "dollars"
    frame = frame.reset_index(drop=True)
    report = quality.check(frame, target=target, group_column="person", features=claims.FEATURES, copies="block")
    assert report.blocks == []
    assert [c for c in report.warnings if c.name.startswith("target")] == []
    held = splits.holdout_split(frame, cv="group", groups=frame["person"])
    folds = splits.folds("group", frame[target][~held], task_type=task, n_folds=5, seed=0,
                         groups=frame["person"][~held])  # fmt: skip
    assert leakage.entity_overlap(frame["person"], held, folds, column="person", severity="block").passed
    assert leakage.rows_overlap(frame[[*claims.FEATURES, target]], held).passed
