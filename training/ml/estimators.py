"""The one table of model types: how each is built for a task, and what a search may try.

Every fitted model is a plain scikit-learn pipeline over the canonical frame of `mlops_site.stats.columns.encode`, so
that skops saves it, and skl2onnx converts it exactly where the table says so. To add a model type, add a row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from mlops_site.stats.scored import TaskType
from training.ml import boosters, merged, preparation, spaces
from training.ml.parted import Blocks, Table
from training.ml.preparation import Kinds, Plan, Prepare
from training.ml.space import Space, Value, check_names, overridden
from training.ml.spaces import Params
from training.ml.trainers import Elastic, Histograms, Network


@dataclass(frozen=True, slots=True)
class ModelType:
    """One algorithm for one task: its estimator, the preparation it wants, its space and its defaults.

    `estimator(...).fit` may return another object than itself, but always a plain scikit-learn estimator. `monotone` is
    the name of its parameter with -1, 0 or 1 for each column. A run that names no model types tries those `by_default`.
    `in_parts(estimator, blocks, y, weights)` fits it to rows that are never all in memory, where it can be.
    One that is `quick_dense` takes half the time for the same trees where its columns hold their zeros.
    """

    estimator: Callable[..., Any]
    prepare: Prepare
    space: Space
    defaults: Mapping[str, Value]
    converts_to_onnx: bool = True
    takes_empty_columns: bool = True
    parallel: bool = False
    fixed: Mapping[str, Any] | None = None
    monotone: str | None = None
    by_default: bool = False
    in_parts: Callable[..., Any] | None = None
    quick_dense: bool = False


# Early stopping would split off its own validation rows, which knows nothing of groups or time.
_HISTOGRAM_FIXED = {"early_stopping": False}
# Leaves are bounded by rows: of few, LightGBM's least weight would allow no tree at all. The rows that it takes
# bins from are in memory with all their zeros.
_LIGHTGBM_FIXED = {"min_child_weight": 0.0, "bin_construct_sample_cnt": 100_000}
_NETWORK_FIXED = {"max_iter": 300}


def _shared(task: TaskType) -> dict[str, ModelType]:
    """The model types that are the same for both tasks but for their estimator."""
    classes = task == "classification"
    boosted = GradientBoostingClassifier if classes else GradientBoostingRegressor
    elastic = (
        (spaces.ELASTIC_LOGISTIC, spaces.ELASTIC_LOGISTIC_DEFAULTS)
        if classes
        else (spaces.ELASTIC, spaces.ELASTIC_DEFAULTS)
    )
    forests = _forests(task)
    return {
        "random_forest": forests["random_forest"],
        "gradient_boosting": ModelType(
            boosted, preparation.imputed, spaces.BOOSTING, spaces.BOOSTING_DEFAULTS, by_default=True
        ),
        "hist_gradient_boosting": ModelType(
            partial(Histograms, task),
            preparation.native,
            spaces.HISTOGRAM,
            spaces.HISTOGRAM_DEFAULTS,
            takes_empty_columns=False,
            fixed=_HISTOGRAM_FIXED,
            monotone="monotonic_cst",
            by_default=True,
        ),
        "elastic_net": ModelType(partial(Elastic, task), preparation.scaled, *elastic),
        "extra_trees": forests["extra_trees"],
        "mlp": ModelType(
            partial(Network, task), preparation.scaled, spaces.NETWORK, spaces.NETWORK_DEFAULTS, fixed=_NETWORK_FIXED
        ),
        **_boosters(task),
    }


def _forests(task: TaskType) -> dict[str, ModelType]:
    forest, extra = (
        (RandomForestClassifier, ExtraTreesClassifier)
        if task == "classification"
        else (RandomForestRegressor, ExtraTreesRegressor)
    )
    made = partial(
        ModelType,
        prepare=preparation.imputed,
        space=spaces.FOREST,
        parallel=True,
        monotone="monotonic_cst",
        quick_dense=True,
    )
    return {
        "random_forest": made(forest, defaults=spaces.FOREST_DEFAULTS, by_default=True),
        "extra_trees": made(extra, defaults=spaces.EXTRA_DEFAULTS),
    }


def _boosters(task: TaskType) -> dict[str, ModelType]:
    """The libraries that are installed here."""
    native, sign, found = preparation.native, "monotone_constraints", {}
    if boosters.has_lightgbm():
        found["lightgbm"] = ModelType(
            partial(boosters.LightGBM, task),
            native,
            spaces.LIGHTGBM,
            spaces.LIGHTGBM_DEFAULTS,
            parallel=True,
            fixed=_LIGHTGBM_FIXED,
            monotone=sign,
            in_parts=boosters.LightGBM.fit_blocks,
        )
    if boosters.has_xgboost():  # in one thread: the order of its sums would else depend on the machine
        found["xgboost"] = ModelType(
            partial(boosters.XGBoost, task), native, spaces.XGBOOST, spaces.XGBOOST_DEFAULTS, monotone=sign
        )
    return found


_LOGISTIC = ModelType(
    LogisticRegression,
    preparation.scaled,
    spaces.LOGISTIC,
    spaces.LOGISTIC_DEFAULTS,
    fixed={"max_iter": 2_000},
    by_default=True,
    in_parts=merged.logistic,
)
_LINEAR = ModelType(
    Ridge, preparation.scaled, spaces.RIDGE, spaces.RIDGE_DEFAULTS, by_default=True, in_parts=merged.ridge
)

MODEL_TYPES: Mapping[TaskType, Mapping[str, ModelType]] = {
    "classification": {"logistic_regression": _LOGISTIC, **_shared("classification")},
    "regression": {"linear_regression": _LINEAR, **_shared("regression")},
}
_EXTRAS = {"xgboost": "the extra xgboost of this package", "lightgbm": "lightgbm and the system's OpenMP library"}


def names(task_type: TaskType, *, by_default: bool = False) -> list[str]:
    """Model types known for a task; with `by_default` those that are tried when nobody names any.

    >>> names("regression", by_default=True)
    ['linear_regression', 'random_forest', 'gradient_boosting', 'hist_gradient_boosting']
    """
    if task_type not in MODEL_TYPES:
        raise ValueError(f"task_type must be one of {', '.join(MODEL_TYPES)} but got {task_type!r}")
    return [name for name, found in MODEL_TYPES[task_type].items() if found.by_default or not by_default]


def model_type(name: str, task_type: TaskType) -> ModelType:
    """The model type of that name; ValueError lists the known ones."""
    if name not in names(task_type):
        known, needs = ", ".join(names(task_type)), f"; it needs {_EXTRAS[name]}" if name in _EXTRAS else ""
        raise ValueError(f"model type for {task_type} must be one of {known} but got {name!r}{needs}")
    return MODEL_TYPES[task_type][name]


def in_parts(task_type: TaskType) -> list[str]:
    """The model types that are fitted to rows in parts: those of a run on a large table."""
    return [name for name, found in MODEL_TYPES[task_type].items() if found.in_parts is not None]


def takes_monotone(name: str, task_type: TaskType) -> bool:
    """Whether a model type can be held to rise or fall with a feature."""
    return model_type(name, task_type).monotone is not None


def device(name: str) -> tuple[str, str] | None:
    """Where a model type that can use a graphics card is trained, "cuda" or "cpu", and why; None for the others."""
    return boosters.device() if name == "xgboost" else None


def search_space(name: str, task_type: TaskType, *, overrides: Mapping[str, object] | None = None) -> Space:
    """The space of a model type with the caller's overrides; ValueError names an unknown parameter."""
    return overridden(model_type(name, task_type).space, overrides or {})


def default_params(name: str, task_type: TaskType) -> Params:
    """Parameters that are good without a search."""
    return dict(model_type(name, task_type).defaults)


def estimator(
    name: str,
    task_type: TaskType,
    params: Mapping[str, Value] | None = None,
    *,
    seed: int,
    n_jobs: int = 1,
    signs: list[int] | None = None,
) -> Any:
    """Return the unfitted estimator; parameters left out take their defaults. `signs` hold each prepared column.

    Raises:
        ValueError: an unknown model type or parameter, or signs that the model type cannot keep.
    """
    chosen = model_type(name, task_type)
    check_names(params or {}, chosen.space)
    settings = {**chosen.defaults, **(params or {}), **(chosen.fixed or {}), "random_state": seed}
    if chosen.parallel:
        settings["n_jobs"] = n_jobs
    if signs and any(signs):
        if chosen.monotone is None:
            able = [known for known in names(task_type) if takes_monotone(known, task_type)]
            raise ValueError(f"monotone needs one of {', '.join(able)} but got {name!r}")
        settings[chosen.monotone] = signs
    return chosen.estimator(**settings)


Weights = NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that is needed to fit one model: its type, columns, parameters and seed; `monotone` holds what it answers to
    rise (1) or fall (-1) with a number."""

    name: str
    task_type: TaskType
    kinds: Kinds
    params: Mapping[str, Value]
    seed: int
    n_jobs: int = 1
    monotone: Mapping[str, int] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """What is done to the columns before the model sees them."""
        chosen = model_type(self.name, self.task_type)
        return Plan(chosen.prepare, self.kinds, chosen.takes_empty_columns)

    def fit(self, frame: Table, y: Any, weights: Weights = None) -> Pipeline:
        """Fit on an encoded frame (n rows) and its truth (n,); each row counts as `weights` (n,) say. ValueError if no
        column has a value."""
        columns, matrix = self.plan.fitted(frame)
        return Pipeline([("columns", columns), ("model", self.trained(columns, matrix, y, weights))])

    def trained(self, columns: ColumnTransformer, matrix: Any, y: Any, weights: Weights = None) -> Any:
        """The fitted estimator alone, from prepared rows (n, columns)."""
        signs = preparation.signs(columns, matrix.shape[1], self.monotone)
        model = estimator(self.name, self.task_type, self.params, seed=self.seed, n_jobs=self.n_jobs, signs=signs)
        if isinstance(matrix, Blocks):
            return self._in_parts(model, matrix, y, weights)
        if model_type(self.name, self.task_type).quick_dense:
            matrix = preparation.dense(matrix)
        # OpenMP threads that outnumber the free cores wait for each other: 30 s where one thread takes 4 s.
        with threadpool_limits(limits=self.n_jobs):
            fitted = model.fit(matrix, y) if weights is None else model.fit(matrix, y, sample_weight=weights)
        # A forest's threads add their trees' answers in the order in which they end: the last bits would vary.
        return fitted.set_params(n_jobs=None) if "n_jobs" in fitted.get_params(deep=False) else fitted

    def _in_parts(self, model: Any, blocks: Blocks, y: Any, weights: Weights) -> Any:
        fit = model_type(self.name, self.task_type).in_parts
        if fit is None:
            able = ", ".join(in_parts(self.task_type))
            raise ValueError(f"a table in parts must be trained on by one of {able} but got {self.name!r}")
        with threadpool_limits(limits=self.n_jobs):
            fitted = fit(model, blocks, y, weights)
        return fitted.set_params(n_jobs=None) if "n_jobs" in fitted.get_params(deep=False) else fitted
