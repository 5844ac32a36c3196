"""One small claims-like data set and every estimator of training fitted on it, once per session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from registry.artifacts.signature import Kind, Signature, infer

NUMBERS = [f"n{i}" for i in range(5)]
KINDS: dict[str, Kind] = {**dict.fromkeys(NUMBERS, "number"), "site": "category", "plan": "category"}

CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "logistic_regression": lambda: LogisticRegression(max_iter=500),
    "random_forest": lambda: RandomForestClassifier(12, max_depth=6, random_state=0),
    "gradient_boosting": lambda: GradientBoostingClassifier(n_estimators=8, random_state=0),
    "hist_gradient_boosting": lambda: HistGradientBoostingClassifier(max_iter=8, random_state=0),
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "linear_regression": lambda: Ridge(),
    "random_forest": lambda: RandomForestRegressor(12, max_depth=6, random_state=0),
    "gradient_boosting": lambda: GradientBoostingRegressor(n_estimators=8, random_state=0),
    "hist_gradient_boosting": lambda: HistGradientBoostingRegressor(max_iter=8, random_state=0),
}


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    columns: dict[str, Any] = {name: rng.normal(size=300) * 10 for name in NUMBERS}
    columns["site"] = rng.choice(["a", "b", "c"], 300)
    columns["plan"] = rng.choice(["basic", "full", ""], 300)
    frame = pd.DataFrame(columns)
    frame.loc[::9, "n3"] = np.nan
    return frame


@pytest.fixture(scope="session")
def targets(frame: pd.DataFrame) -> dict[str, Any]:
    signal = frame["n0"] + 3 * (frame["site"] == "a") + frame["n3"].fillna(0)
    return {
        "binary": (signal > 8).astype(int).to_numpy(),
        "many": np.array(["low", "mid", "top"])[np.digitize(signal, [-5, 5])],
        "value": signal.to_numpy() * 100,
    }


@pytest.fixture(scope="session")
def fitted(frame: pd.DataFrame, targets: dict[str, Any]) -> Callable[[str, str], Pipeline]:
    """The pipeline of an estimator's name and a target's name, fitted once."""
    made: dict[tuple[str, str], Pipeline] = {}

    def fit(name: str, target: str) -> Pipeline:
        if (name, target) not in made:
            estimator = (REGRESSORS if target == "value" else CLASSIFIERS)[name]()
            numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
            categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            parts = [("numbers", numbers, NUMBERS), ("categories", categories, ["site", "plan"])]
            pipeline = Pipeline([("prepare", ColumnTransformer(parts)), ("model", estimator)])
            made[name, target] = pipeline.fit(frame, targets[target])
        return made[name, target]

    return fit


@pytest.fixture(scope="session")
def signatures(frame: pd.DataFrame, targets: dict[str, Any]) -> dict[str, Signature]:
    return {
        "binary": infer(frame, KINDS, task_type="classification", target=targets["binary"]),
        "many": infer(frame, KINDS, task_type="classification", target=targets["many"]),
        "value": infer(frame, KINDS, task_type="regression"),
    }


@pytest.fixture(scope="session")
def cases() -> list[tuple[str, str]]:
    """Every estimator of training with every kind of target."""
    classifying = [(name, target) for name in CLASSIFIERS for target in ("binary", "many")]
    return classifying + [(name, "value") for name in REGRESSORS]


@pytest.fixture
def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The first 40 rows as a caller would send them: null where something is missing."""
    records = frame.head(40).astype(object).where(frame.head(40).notna() & (frame.head(40) != ""), None)
    return [{str(name): value for name, value in record.items()} for record in records.to_dict("records")]
