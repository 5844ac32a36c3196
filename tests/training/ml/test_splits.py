"""Holdout and folds: who lands where, always the same, and what is refused with its counts."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.ml.splits import earlier_rows, folds, holdout_split, moments


def rows(n: int = 1000) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame({"a": random.normal(size=n), "b": random.integers(0, 9, n), "c": ["x", "y"] * (n // 2)})


def test_holdout_is_stable_when_the_data_set_changes() -> None:
    frame = rows()
    mask = holdout_split(frame, cv="stratified")
    assert 0.15 < mask.mean() < 0.25
    shuffled = frame.sample(frac=1, random_state=1)[["c", "a", "b"]].astype({"b": float})
    later = pd.concat([shuffled.tail(700), shuffled.head(50)])
    again = holdout_split(later, cv="stratified")
    np.testing.assert_array_equal(again, mask[later.index])
    assert (holdout_split(frame, cv="stratified", salt="other") != mask).any()


def test_a_person_is_on_one_side_in_every_version() -> None:
    person = np.repeat(np.arange(300), 4)
    frame = rows(1200)
    for cv in ("stratified", "group"):
        mask = holdout_split(frame, cv=cv, groups=person)
        sides = pd.Series(mask).groupby(person).nunique()
        assert (sides == 1).all()
    later = holdout_split(frame.head(600), cv="group", groups=person[:600].astype(float))
    np.testing.assert_array_equal(later, mask[:600])
    as_text = holdout_split(frame, cv="group", groups=person.astype(str))
    np.testing.assert_array_equal(as_text, mask)


def test_time_holdout_is_the_latest_share_and_keeps_ties_together() -> None:
    times = np.repeat([2021, 2022, 2023, 2024], [300, 300, 250, 150])
    mask = holdout_split(rows(), cv="time", times=times, share=0.2)
    assert set(times[mask]) == {2024}
    assert set(times[holdout_split(rows(), cv="time", times=times, share=0.35)]) == {2023, 2024}
    days = pd.date_range("2024-01-01", periods=1000).strftime("%Y-%m-%d")
    assert holdout_split(rows(), cv="time", times=days, share=0.2).nonzero()[0].min() == 800


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("grouped", [False, True])
def test_every_row_is_tested_once_and_no_group_is_in_two_folds(task: Any, grouped: bool) -> None:
    y = np.arange(200) % 4 // 3
    person = np.arange(200) // 4 if grouped else None
    made = folds("group" if grouped else "stratified", y, task_type=task, n_folds=5, seed=1, groups=person)
    assert sorted(np.concatenate([test for _, test in made])) == list(range(200))
    for train, test in made:
        assert not set(train) & set(test)
        if person is not None:
            assert not set(person[train]) & set(person[test])
        elif task == "classification":
            assert y[test].mean() == pytest.approx(0.25)
    again = folds("group" if grouped else "stratified", y, task_type=task, n_folds=5, seed=1, groups=person)
    assert all(np.array_equal(one[1], two[1]) for one, two in zip(made, again, strict=True))


@pytest.mark.parametrize(
    "times",
    [
        np.arange(100),
        np.repeat([1, 2, 3, 4], [90, 3, 3, 4]),
        np.repeat([1, 2, 3, 4], [2, 3, 5, 90]),
        np.repeat([1, 2, 3, 4, 5], [5, 90, 1, 2, 2]),
    ],
)
def test_time_folds_train_on_the_past_only(times: Any) -> None:
    order = np.random.default_rng(0).permutation(len(times))
    made = folds("time", order * 1.0, task_type="regression", n_folds=3, seed=0, times=times[order])
    assert len(made) == 3
    for train, test in made:
        assert len(train) > 0
        assert len(test) > 0
        assert times[order][train].max() < times[order][test].min()
    if len(np.unique(times)) == 100:
        assert [len(test) for _, test in made] == [25, 25, 25]


def test_folds_by_time_and_group_are_those_by_time_without_the_past_of_their_test() -> None:
    random = np.random.default_rng(0)
    times, groups = random.integers(0, 12, 300), random.integers(0, 150, 300)
    asked: dict[str, Any] = {"task_type": "regression", "n_folds": 4, "seed": 0, "times": times, "groups": groups}
    left_out = 0
    pairs = zip(folds("group_time", times, **asked), folds("time", times, **asked), strict=True)
    for (train, test), (before, same) in pairs:
        assert np.array_equal(test, same)
        assert np.array_equal(train, before[~np.isin(groups[before], groups[test])])
        left_out += len(before) - len(train)
    assert left_out > 20
    held = holdout_split(rows(300), cv="group_time", times=times, groups=groups)
    assert np.array_equal(held, holdout_split(rows(300), cv="time", times=times))
    earlier = earlier_rows(held, groups)
    assert not set(groups[~held & ~earlier]) & set(groups[held])
    assert set(groups[earlier]) <= set(groups[held])


def test_a_panel_cannot_be_split_by_time_with_its_groups_apart() -> None:
    times, groups = np.repeat(np.arange(6), 50), np.tile(np.arange(50), 6)
    with pytest.raises(
        ValueError, match="all 50 training rows of fold 1 are of groups that are in its test; use fewer"
    ):
        folds("group_time", times, task_type="regression", n_folds=5, seed=0, times=times, groups=groups)
    with pytest.raises(ValueError, match=r"all 250 rows before the holdout are of groups that are in it; .*cv 'time'"):
        earlier_rows(times == 5, groups)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_folds": 1}, "between 2 and the 20 rows but got 1"),
        ({"n_folds": 21}, "between 2 and the 20 rows but got 21"),
        ({"cv": "random"}, "cv must be one of stratified, group, time, group_time but got 'random'"),
        ({"cv": "group"}, "must have a group column"),
        ({"cv": "time"}, "must have a time column"),
        ({"cv": "group_time", "times": range(20)}, "cv 'group_time' must have a group column"),
        ({"cv": "group", "groups": [1, 2] * 10}, "5 folds must have at least 5 groups but got 2"),
        ({"cv": "time", "times": [1, 2, 3, 4, 5] * 4}, "at least 6 distinct times but got 5"),
        ({"y": ["a"] * 17 + ["b"] * 3}, "5 rows of class 'b' but got 3"),
        ({"cv": "group", "groups": list(range(10)) * 2, "y": [1, *[0] * 9] * 2}, "5 groups of class 1 but got 1"),
        ({"cv": "time", "times": range(20), "y": [0] * 12 + [1] * 8}, "training rows of fold 1.*only"),
        ({"cv": "group", "groups": [None, *range(19)]}, "1 rows have none"),
    ],
)
def test_impossible_folds_name_the_counts(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "cv": "stratified",
        "y": [0, 1] * 10,
        "task_type": "classification",
        "n_folds": 5,
        "seed": 0,
    }
    given.update(changes)
    with pytest.raises(ValueError, match=message):
        folds(given.pop("cv"), given.pop("y"), **given)


def test_impossible_holdouts_say_why() -> None:
    with pytest.raises(ValueError, match=r"but got 1\.5"):
        holdout_split(rows(), cv="stratified", share=1.5)
    with pytest.raises(ValueError, match="groups on both sides"):
        holdout_split(rows(), cv="group", groups=np.ones(1000))
    with pytest.raises(ValueError, match="at least 2 distinct values to hold out the latest but got 1"):
        holdout_split(rows(), cv="time", times=np.ones(1000))


def test_moments_order_dates_and_refuse_words() -> None:
    assert moments(["1970-01-02", "1970-01-01T00:00:10Z"]).tolist() == [86400.0, 10.0]
    assert moments([3, 1.5]).tolist() == [3.0, 1.5]
    with pytest.raises(ValueError, match="row 2 holds 'later'"):
        moments(["2024-01-01", "later"])
    with pytest.raises(ValueError, match="row 1 holds nan"):
        moments([np.nan, 1.0])
