"""The one table of model types: how each is built for a task, and what a search may try.

Every model is a plain scikit-learn pipeline over the canonical frame of `mlops_site.stats.columns.encode`, so
that skops saves it and, but for histogram gradient boosting, skl2onnx converts it exactly. To add a model type,
add a row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
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
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from mlops_site.stats.columns import Kind
from mlops_site.stats.scored import TaskType
from training.ml.space import Choice, FloatRange, IntRange, Space, Value, check_names, overridden

MAX_LEVELS = 50  # of one category; rarer levels share a column

Params = dict[str, Value]
Kinds = Mapping[str, Kind]


@dataclass(frozen=True, slots=True)
class ModelType:
    """One algorithm for one task: its estimator, the preparation it wants, its space and its defaults."""

    estimator: Callable[..., Any]
    prepare: Callable[[Kinds], ColumnTransformer]
    space: Space
    defaults: Mapping[str, Value]
    converts_to_onnx: bool = True
    takes_empty_columns: bool = True
    parallel: bool = False
    fixed: Mapping[str, Any] | None = None


def _scaled(kinds: Kinds) -> ColumnTransformer:
    return _columns(kinds, Pipeline([("impute", _median()), ("scale", StandardScaler())]), _one_hot())


def _imputed(kinds: Kinds) -> ColumnTransformer:
    return _columns(kinds, _median(), _one_hot())


def _native(kinds: Kinds) -> ColumnTransformer:
    """Numbers as they are, missing ones too: the learner knows what to do."""
    # Its own treatment of categories is built with functools.partial, which no trusted file may hold.
    return _columns(kinds, "passthrough", _one_hot(sparse_output=False))


def _median() -> SimpleImputer:
    # No missing indicator: skl2onnx does not convert it. A column without any value must not vanish either.
    return SimpleImputer(strategy="median", keep_empty_features=True)


def _one_hot(*, sparse_output: bool = True) -> OneHotEncoder:
    # "infrequent_if_exist" would fail in ONNX Runtime at the first unseen level.
    return OneHotEncoder(handle_unknown="ignore", max_categories=MAX_LEVELS, sparse_output=sparse_output)


def _columns(kinds: Kinds, number: Any, category: Any) -> ColumnTransformer:
    parts = {"number": number, "category": category}
    chosen = [(kind, part, [name for name in kinds if kinds[name] == kind]) for kind, part in parts.items()]
    return ColumnTransformer([step for step in chosen if step[2]])


_FOREST: Space = {
    "n_estimators": IntRange(100, 300, most=2_000),
    "max_depth": IntRange(3, 20, most=100),
    "min_samples_leaf": IntRange(1, 50, log=True),
    "max_features": Choice(("sqrt", "log2", 0.5)),
}
_FOREST_DEFAULTS: Params = {
    "n_estimators": 200,
    "max_depth": 12,
    "min_samples_leaf": 5,
    "max_features": "sqrt",
}
_BOOSTING: Space = {
    "n_estimators": IntRange(50, 250, most=2_000),
    "learning_rate": FloatRange(0.01, 0.3, log=True, most=1.0),
    "max_depth": IntRange(2, 6, most=16),
    "min_samples_leaf": IntRange(1, 50, log=True),
    "subsample": FloatRange(0.5, 1.0, least=0.05, most=1.0),
}
_BOOSTING_DEFAULTS: Params = {
    "n_estimators": 100,
    "learning_rate": 0.1,
    "max_depth": 3,
    "min_samples_leaf": 5,
    "subsample": 1.0,
}
_HISTOGRAM: Space = {
    "max_iter": IntRange(50, 300, most=2_000),
    "learning_rate": FloatRange(0.01, 0.3, log=True, most=1.0),
    "max_leaf_nodes": IntRange(7, 63, log=True, least=2, most=1_023),
    "min_samples_leaf": IntRange(5, 100, log=True),
    "l2_regularization": FloatRange(1e-6, 10.0, log=True),
}
_HISTOGRAM_DEFAULTS: Params = {
    "max_iter": 100,
    "learning_rate": 0.05,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 20,
    "l2_regularization": 1e-6,
}
# Early stopping would split off its own validation rows, which knows nothing of groups or time.
_HISTOGRAM_FIXED = {"early_stopping": False}

MODEL_TYPES: Mapping[TaskType, Mapping[str, ModelType]] = {
    "classification": {
        "logistic_regression": ModelType(
            LogisticRegression,
            _scaled,
            {"C": FloatRange(1e-3, 1e2, log=True), "class_weight": Choice((None, "balanced"))},
            {"C": 1.0, "class_weight": None},
            fixed={"max_iter": 2_000},
        ),
        "random_forest": ModelType(RandomForestClassifier, _imputed, _FOREST, _FOREST_DEFAULTS, parallel=True),
        "gradient_boosting": ModelType(GradientBoostingClassifier, _imputed, _BOOSTING, _BOOSTING_DEFAULTS),
        "hist_gradient_boosting": ModelType(
            HistGradientBoostingClassifier,
            _native,
            _HISTOGRAM,
            _HISTOGRAM_DEFAULTS,
            converts_to_onnx=False,
            takes_empty_columns=False,
            fixed=_HISTOGRAM_FIXED,
        ),
    },
    "regression": {
        "linear_regression": ModelType(Ridge, _scaled, {"alpha": FloatRange(1e-3, 1e3, log=True)}, {"alpha": 1.0}),
        "random_forest": ModelType(RandomForestRegressor, _imputed, _FOREST, _FOREST_DEFAULTS, parallel=True),
        "gradient_boosting": ModelType(GradientBoostingRegressor, _imputed, _BOOSTING, _BOOSTING_DEFAULTS),
        "hist_gradient_boosting": ModelType(
            HistGradientBoostingRegressor,
            _native,
            _HISTOGRAM,
            _HISTOGRAM_DEFAULTS,
            converts_to_onnx=False,
            takes_empty_columns=False,
            fixed=_HISTOGRAM_FIXED,
        ),
    },
}


def names(task_type: TaskType) -> list[str]:
    """Model types known for a task.

    >>> names("regression")
    ['linear_regression', 'random_forest', 'gradient_boosting', 'hist_gradient_boosting']
    """
    if task_type not in MODEL_TYPES:
        raise ValueError(f"task_type must be one of {', '.join(MODEL_TYPES)} but got {task_type!r}")
    return list(MODEL_TYPES[task_type])


def model_type(name: str, task_type: TaskType) -> ModelType:
    """The model type of that name; ValueError lists the known ones."""
    if name not in names(task_type):
        known = ", ".join(names(task_type))
        raise ValueError(f"model type for {task_type} must be one of {known} but got {name!r}")
    return MODEL_TYPES[task_type][name]


def search_space(name: str, task_type: TaskType, *, overrides: Mapping[str, object] | None = None) -> Space:
    """The space of a model type with the caller's overrides; ValueError names an unknown parameter."""
    return overridden(model_type(name, task_type).space, overrides or {})


def default_params(name: str, task_type: TaskType) -> Params:
    """Parameters that are good without a search."""
    return dict(model_type(name, task_type).defaults)


def build(
    name: str,
    task_type: TaskType,
    kinds: Kinds,
    params: Mapping[str, Value] | None = None,
    *,
    seed: int,
    n_jobs: int = 1,
) -> Pipeline:
    """Return the unfitted pipeline for the columns of `kinds`; parameters left out take their defaults.

    Raises:
        ValueError: an unknown model type or parameter, or no columns.
    """
    chosen = model_type(name, task_type)
    check_names(params or {}, chosen.space)
    if not kinds:
        raise ValueError("kinds must name at least one feature with a value but got none")
    settings = {**chosen.defaults, **(params or {}), **(chosen.fixed or {}), "random_state": seed}
    if chosen.parallel:
        settings["n_jobs"] = n_jobs
    return Pipeline([("columns", chosen.prepare(kinds)), ("model", chosen.estimator(**settings))])


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that is needed to fit one model: its type, columns, parameters and seed."""

    name: str
    task_type: TaskType
    kinds: Kinds
    params: Mapping[str, Value]
    seed: int
    n_jobs: int = 1

    def fit(self, frame: pd.DataFrame, y: Any) -> Pipeline:
        """Fit on an encoded frame (n rows) and its truth (n,); ValueError if no column has a value."""
        kinds = self.kinds
        if not model_type(self.name, self.task_type).takes_empty_columns:
            kinds = {name: kind for name, kind in kinds.items() if frame[name].notna().any()}
        model = build(self.name, self.task_type, kinds, self.params, seed=self.seed, n_jobs=self.n_jobs)
        # OpenMP threads that outnumber the free cores wait for each other: 30 s where one thread takes 4 s.
        with threadpool_limits(limits=self.n_jobs):
            return model.fit(frame, y)
