"""Every estimator that training can produce comes back from its .skops file with exactly the same answers.

The table of `training.ml.estimators` is the parameter: a model type that is added is tested by being there.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.columns import encode
from mlops_site.stats.scored import TaskType
from registry.artifacts.formats import dump_skops, load_skops
from registry.artifacts.signature import infer
from registry.artifacts.trial import inspect_here
from registry.artifacts.trust import TRUSTED
from training.ml import estimators
from training.ml.preparation import Kinds
from training.ml.space import Choice

KINDS: Kinds = {"age": "number", "cost": "number", "empty": "number", "site": "category", "plan": "category"}
PREPARED: dict[str, tuple[str, ...]] = {
    "all kinds": tuple(KINDS),
    "numbers": ("age", "cost", "empty"),
    "categories": ("site", "plan"),
}
TARGETS = {"classification": ("binary", "texts", "truths", "many"), "regression": ("value",)}
CASES = [
    (task, name, target, prepared)
    for task in estimators.MODEL_TYPES
    for name in estimators.names(task)
    for target in TARGETS[task]
    for prepared in PREPARED
]
FEW = {"n_estimators": 9, "max_iter": 9}


@functools.cache
def claims() -> pd.DataFrame:
    chance = np.random.default_rng(11)
    frame = pd.DataFrame(
        {
            "age": chance.integers(18, 90, 300).astype(float),
            "cost": chance.lognormal(6, 1, 300),
            "empty": np.full(300, np.nan),
            "site": [f"s{level}" for level in np.minimum(chance.geometric(0.05, 300), 90)],
            "plan": chance.choice(["gold", "silver", ""], 300),
        }
    )
    frame.loc[::7, "age"] = np.nan
    return encode(frame, KINDS)


def truth(target: str) -> Any:
    frame = claims()
    value = np.log(frame["cost"]) + (frame["plan"] == "gold") + frame["age"].fillna(50) / 50
    if target == "value":
        return value.to_numpy()
    if target == "many":
        return np.array(["high", "low", "mid"])[np.digitize(value, value.quantile([0.3, 0.7]))]
    high = (value > value.median()).to_numpy()
    return {"binary": high.astype(int), "texts": np.where(high, "high", "low"), "truths": high}[target]


def strange(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows as they come in production as well: unseen and missing levels, missing numbers, far-off values."""
    rows = frame.copy()
    for column in rows.columns:
        is_number = KINDS[column] == "number"
        rows.loc[rows.index[:20], column] = 1e7 if is_number else "never seen"
        rows.loc[rows.index[20:40], column] = np.nan if is_number else ""
    return pd.concat([frame, rows])


def params(name: str, task: TaskType, end: str) -> dict[str, Any]:
    """Defaults, or the lower or upper end of everything that a search may try; with few trees."""
    if end == "default":
        found: dict[str, Any] = dict(estimators.default_params(name, task))
    else:
        parts = estimators.search_space(name, task).items()
        last = 0 if end == "low" else -1
        found = {key: part.choices[last] if isinstance(part, Choice) else getattr(part, end) for key, part in parts}
    return {key: FEW.get(key, value) for key, value in found.items()}


@pytest.mark.parametrize(
    ("task", "name", "target", "prepared", "end"),
    [
        (*case, end)
        for case in CASES
        for end in ("default", "low", "high")
        if end == "default" or case[3] == "all kinds"
    ],
)
def test_it_comes_back_with_the_same_answers(task: str, name: str, target: str, prepared: str, end: str) -> None:
    kind, columns = cast(TaskType, task), PREPARED[prepared]
    frame, kinds = claims()[list(columns)], {column: KINDS[column] for column in columns}
    fitted = estimators.Recipe(name, kind, kinds, params(name, kind, end), seed=3).fit(frame, truth(target))
    again = load_skops(dump_skops(fitted))
    rows = strange(frame)
    for method in ("predict", "predict_proba") if task == "classification" else ("predict",):
        expected, found = getattr(fitted, method)(rows), getattr(again, method)(rows)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize(("task", "name", "target", "prepared"), [case for case in CASES if case[3] == "all kinds"])
def test_an_inspection_takes_it(task: str, name: str, target: str, prepared: str) -> None:
    kind, frame = cast(TaskType, task), claims()
    fitted = estimators.Recipe(name, kind, KINDS, params(name, kind, "default"), seed=3).fit(frame, truth(target))
    signature = infer(frame, KINDS, task_type=kind, target=truth(target) if task == "classification" else None)
    found = inspect_here(dump_skops(fitted), signature, TRUSTED)
    assert (found["format"], found["operator_types"]) == ("skops", [])
