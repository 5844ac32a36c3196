"""One behavioural suite over every model type and task, and the table's own errors."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io

from mlops_site.stats.columns import encode
from registry.artifacts.graphs import run_graph, to_onnx
from training.ml import estimators
from training.ml.preparation import MAX_LEVELS, Kinds

KINDS: Kinds = {"age": "number", "cost": "number", "empty": "number", "site": "category", "plan": "category"}
CASES = [(name, task) for task in estimators.MODEL_TYPES for name in estimators.names(task)]
COMPILED = {
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
}
FEW = {"n_estimators": 12, "max_iter": 12}
every_case = pytest.mark.parametrize(("name", "task"), CASES)


def claims(n: int = 400, seed: int = 5) -> pd.DataFrame:
    """Made-up claims with gaps, more levels than one-hot columns, and a column without any value."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, n).astype(float),
            "cost": random.lognormal(6, 1, n),
            "empty": np.full(n, np.nan),
            "site": [f"s{level}" for level in np.minimum(random.geometric(0.05, n), 90)],
            "plan": random.choice(["gold", "silver", ""], n),
        }
    )
    frame.loc[::7, "age"] = np.nan
    return encode(frame, KINDS)


def truth(frame: pd.DataFrame, task: str) -> Any:
    value = np.log(frame["cost"]) + (frame["plan"] == "gold") + frame["age"].fillna(50) / 50
    return np.where(value > value.median(), "high", "low") if task == "classification" else value.to_numpy()


def fitted(name: str, task: Any, frame: pd.DataFrame) -> Any:
    params = {key: value for key, value in FEW.items() if key in estimators.search_space(name, task)}
    recipe = estimators.Recipe(name, task, KINDS, params, seed=3)
    return recipe.fit(frame, truth(frame, task))


def answers(model: Any, frame: pd.DataFrame) -> Any:
    return model.predict_proba(frame) if hasattr(model, "predict_proba") else model.predict(frame)[:, None]


def strange(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows as production sends them: unseen and missing levels, missing numbers, far-off values."""
    rows = frame.head(60).copy()
    rows.loc[rows.index[:10], "site"] = "never seen"
    rows.loc[rows.index[5:15], "plan"] = ""
    rows.loc[rows.index[20:30], ["age", "cost"]] = np.nan
    rows.loc[rows.index[40:45], "empty"] = 7.0
    rows.loc[rows.index[45:50], "cost"] = 1e7
    return rows


@every_case
def test_learns_more_than_the_mean(name: str, task: str) -> None:
    frame, later = claims(), claims(seed=6)
    score = fitted(name, task, frame).score(later, truth(later, task))
    assert score > (0.75 if task == "classification" else 0.3)


@every_case
def test_answers_missing_and_unseen_values_with_finite_numbers(name: str, task: str) -> None:
    frame = claims()
    found = answers(fitted(name, task, frame), strange(frame))
    assert np.isfinite(found).all()
    if task == "classification":
        np.testing.assert_allclose(found.sum(axis=1), 1.0)


@every_case
def test_same_seed_gives_the_same_model(name: str, task: str) -> None:
    frame = claims()
    np.testing.assert_array_equal(answers(fitted(name, task, frame), frame), answers(fitted(name, task, frame), frame))


@every_case
def test_survives_skops_with_equal_answers(name: str, task: str) -> None:
    frame = claims()
    model = fitted(name, task, frame)
    data = skops.io.dumps(model)
    unknown = skops.io.get_untrusted_types(data=data)
    assert set(unknown) <= COMPILED
    again = skops.io.loads(data, trusted=unknown)
    np.testing.assert_array_equal(answers(model, strange(frame)), answers(again, strange(frame)))


@pytest.mark.parametrize(("name", "task"), [case for case in CASES if estimators.model_type(*case).converts_to_onnx])
def test_converts_to_onnx_with_equal_answers(name: str, task: str) -> None:
    frame = claims()
    model = fitted(name, task, frame)
    graph = to_onnx(model, KINDS).graph
    assert graph is not None
    rows = pd.concat([strange(frame), frame])
    np.testing.assert_allclose(run_graph(graph, rows), answers(model, rows), rtol=1e-5, atol=2e-6)


@every_case
@pytest.mark.parametrize("kind", ["number", "category"])
def test_fits_with_columns_of_one_kind(name: str, task: Any, kind: str) -> None:
    frame = claims(200)
    kinds: Any = {column: found for column, found in KINDS.items() if found == kind}
    model = estimators.Recipe(name, task, kinds, {}, seed=3).fit(frame[list(kinds)], truth(frame, task))
    assert len(model.predict(frame[list(kinds)])) == 200


@every_case
def test_defaults_lie_in_the_space(name: str, task: Any) -> None:
    space, defaults = estimators.search_space(name, task), estimators.default_params(name, task)
    assert set(space) == set(defaults)
    assert all(defaults[parameter] in space[parameter] for parameter in space)


@every_case
def test_both_ends_of_the_space_fit(name: str, task: Any) -> None:
    frame = claims(120)
    for end in ("low", "high"):
        space = estimators.search_space(name, task)
        params = {
            key: part.describe().get(end, part.describe().get("choices", [None])[-1]) for key, part in space.items()
        }
        params.update({key: value for key, value in FEW.items() if key in space})
        estimators.Recipe(name, task, KINDS, params, seed=0).fit(frame, truth(frame, task))


@every_case
def test_rare_levels_share_a_column(name: str, task: str) -> None:
    frame = claims()
    assert frame["site"].nunique() > MAX_LEVELS
    width = fitted(name, task, frame)["columns"].transform(frame.head(1)).shape[1]
    assert width <= 3 + 3 + MAX_LEVELS


def test_overrides_narrow_fix_and_widen() -> None:
    space = estimators.search_space(
        "random_forest",
        "classification",
        overrides={"max_depth": {"low": 2, "high": 40}, "n_estimators": 50, "max_features": "sqrt"},
    )
    assert space["max_depth"].describe() == {"low": 2, "high": 40, "log": False}
    assert space["n_estimators"].describe() == {"low": 50, "high": 50, "log": False}
    assert space["max_features"].describe() == {"choices": ["sqrt"]}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"depth": 3}, "max_depth.*but got depth"),
        ({"max_depth": "3"}, "max_depth must be"),
        ({"max_depth": True}, "max_depth must be"),
        ({"max_depth": 2.5}, "whole numbers"),
        ({"max_depth": {"low": 9, "high": 3}}, "low 9, high 3"),
        ({"n_estimators": 10**9}, "high 1000000000"),
        ({"max_features": "os.system"}, "among.*but got 'os.system'"),
        ({"max_features": {"choices": []}}, "max_features must be"),
    ],
)
def test_bad_overrides_name_the_parameter(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimators.search_space("random_forest", "classification", overrides=overrides)


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ValueError, match=r"logistic_regression, random_forest.*but got 'catboost'"):
        estimators.estimator("catboost", "classification", seed=0)
    with pytest.raises(ValueError, match=r"linear_regression.*but got 'logistic_regression'"):
        estimators.default_params("logistic_regression", "regression")
    with pytest.raises(ValueError, match="task_type must be one of"):
        estimators.names("ranking")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"max_depth.*but got depth"):
        estimators.estimator("random_forest", "regression", {"depth": 3}, seed=0)
    with pytest.raises(ValueError, match="at least one feature"):
        estimators.Recipe("random_forest", "regression", {}, {}, seed=0).fit(claims(), truth(claims(), "regression"))


@every_case
def test_rows_that_count_more_are_answered_more_nearly(name: str, task: Any) -> None:
    frame = claims(200)
    twice = pd.concat([frame, frame], ignore_index=True)
    value, half = truth(frame, task), np.arange(400) < 200
    other = np.where(value == "high", "low", "high") if task == "classification" else value + 5
    params = {key: few for key, few in FEW.items() if key in estimators.search_space(name, task)}
    recipe = estimators.Recipe(name, task, KINDS, params, seed=3)
    weighted = recipe.fit(twice, np.r_[value, other], np.where(half, 50.0, 0.02)).predict(frame)
    plain = recipe.fit(twice, np.r_[value, other]).predict(frame)
    if task == "classification":
        assert np.mean(weighted == value) > np.mean(plain == value)
    else:
        assert np.abs(weighted - value).mean() < np.abs(plain - value).mean()
