"""What is wrong with a request for a run, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from mlops_site.core.errors import FieldError, Invalid
from registry.models import RegisteredModel
from training.choices import CrossValidation, Need
from training.models import DatasetVersion
from training.services.config import RunConfig
from training.services.constraints import able, held, monotone_problems
from training.services.decisions import decision_problems
from training.services.feature_uses import check_fit, sets_named
from training.services.large import trains_in_parts
from training.services.leaks import BY_GROUP, BY_TIME, split_problems, time_problems
from training.services.schema import added_rows, columns_of, default_features, label_meant, labels_of

if TYPE_CHECKING:
    from mlops_site.stats.scored import TaskType

MAX_CLASSES = 50
MAX_SLICES = 20
MAX_TRIALS = 1_000
MAX_OUTER = 10
MAX_WORKERS = 64
MAX_SEED = 2**32 - 1  # NumPy's


def known_types(task_type: str, *, by_default: bool = False) -> list[str]:
    """The model types that can do the task; those that a run tries when it names none."""
    from training.ml import estimators  # imports scikit-learn: see `_known_metrics`

    return estimators.names(cast("TaskType", task_type), by_default=by_default)


def types_of(config: RunConfig, task_type: str, version: DatasetVersion) -> list[str]:
    """The model types that a run tries."""
    if config.model_types is not None:
        return config.model_types
    usual = _usual(task_type, version)
    return able(usual, task_type) if held(config) else usual


def _usual(task_type: str, version: DatasetVersion) -> list[str]:
    """Those of a run that names none: on a table in parts, all that are fitted so."""
    return _in_parts(task_type) if trains_in_parts(version) else known_types(task_type, by_default=True)


def _in_parts(task_type: str) -> list[str]:
    from training.ml import estimators  # imports scikit-learn: see `_known_metrics`

    return estimators.in_parts(cast("TaskType", task_type))


def problems(config: RunConfig, model: RegisteredModel, version: DatasetVersion) -> Iterator[FieldError]:
    yield from _numbers(config)
    yield from _weight(config, version)
    yield from _choices(config, str(model.task_type), version)
    if isinstance(config.target, str | None):
        yield from _target(config, model, version)
        yield from _features(config, version)
        yield from monotone_problems(config, model, version)
        yield from decision_problems(config, model, version)
        yield from _slices(config, version)
        yield from split_problems(config, version)
        yield from time_problems(config, version)
        yield from _feature_sets(config, model, version)
    else:
        yield _wrong("target", f"must be the name of a column but got {config.target!r:.80}")
    yield from _search(config, str(model.task_type), version)


def _wrong(field: str, message: str, code: str = "invalid") -> FieldError:
    return FieldError(field, code, f"{field} {message}")


def _numbers(config: RunConfig) -> Iterator[FieldError]:
    bounds = (("n_trials", 1, MAX_TRIALS), ("cv_folds", 2, 20), ("workers", 1, MAX_WORKERS), ("seed", 0, MAX_SEED))
    for field, low, high in bounds:
        value = getattr(config, field)
        if type(value) is not int or not low <= value <= high:
            yield _wrong(field, f"must be a whole number from {low} to {high} but got {value!r:.80}", "out_of_range")
    outer: Any = config.nested_folds
    if outer is not None and (type(outer) is not int or not 2 <= outer <= MAX_OUTER):
        message = f"must be a whole number from 2 to {MAX_OUTER} but got {outer!r:.80}"
        yield _wrong("nested_folds", message, "out_of_range")
    for field in ("hyperparameter_optimization", "gpu"):
        got = getattr(config, field)
        if type(got) is not bool:
            yield _wrong(field, f"must be true or false but got {got!r:.80}")
    margin: Any = config.margin
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < float("inf"):
        yield _wrong("margin", f"must be a finite number of at least 0 but got {margin!r:.80}", "out_of_range")
    threshold: Any = config.auto_deploy_threshold
    if threshold is None:
        return
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        yield _wrong("auto_deploy_threshold", f"must be from 0 to 1 but got {threshold!r:.80}", "out_of_range")


def _weight(config: RunConfig, version: DatasetVersion) -> Iterator[FieldError]:
    weight: Any = config.new_rows_weight
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0.01 <= weight <= 100:
        yield _wrong("new_rows_weight", f"must be from 0.01 to 100 but got {weight!r:.80}", "out_of_range")
    elif weight != 1 and not added_rows(version):
        message = f"needs a data set made by adding rows to an earlier one, which {version} is not"
        yield _wrong("new_rows_weight", message, "no_new_rows")


def _choices(config: RunConfig, task_type: str, version: DatasetVersion) -> Iterator[FieldError]:
    if config.task_type not in (None, task_type):
        yield _wrong("task_type", f"must be the model's, {task_type}, but got {config.task_type!r:.80}")
    known = _known_metrics(task_type)
    if config.metric is not None and config.metric not in known:
        yield _wrong("metric", f"must be one of {', '.join(known)} but got {config.metric!r:.80}", "unknown_metric")
    if config.need not in Need.values:
        yield _wrong("need", f"must be one of {', '.join(Need.values)} but got {config.need!r:.80}")
    if config.cv is None:
        return
    if config.cv not in CrossValidation.values:
        yield _wrong("cv", f"must be one of {', '.join(CrossValidation.values)} but got {config.cv!r:.80}")
    elif config.cv in BY_GROUP and not version.group_column:
        yield _wrong("cv", f"{config.cv} needs a group_column, which {version} has not", "no_group_column")
    elif config.cv in BY_TIME and not version.time_column:
        yield _wrong("cv", f"{config.cv} needs a time_column, which {version} has not", "no_time_column")


def _known_metrics(task_type: str) -> list[str]:
    from mlops_site.stats import metrics  # imports pandas, which no web process needs before somebody trains

    return metrics.names(cast("TaskType", task_type))


def _target(config: RunConfig, model: RegisteredModel, version: DatasetVersion) -> Iterator[FieldError]:
    target: Any = config.target or version.target
    columns = columns_of(version)
    if not isinstance(target, str) or target not in columns:
        yield _wrong("target", f"must be a column of {version} but got {target!r:.80}", "unknown_column")
        return
    column = columns[target]
    if target in (version.group_column, version.time_column):
        yield _wrong("target", f"must not be the group or time column but got {target!r}")
    elif model.task_type == "regression":
        if column["kind"] != "number" or column["distinct"] < 2:
            message = f"must be a number that varies but {target!r} is not; the task is regression"
            yield _wrong("target", message, "target_kind")
    else:
        yield from _labels(config, labels_of(version, target), column["distinct"], target)


def _labels(config: RunConfig, labels: dict[Any, int], distinct: int, target: str) -> Iterator[FieldError]:
    if not 2 <= distinct <= MAX_CLASSES:
        yield _wrong("target", f"must have 2 to {MAX_CLASSES} classes but {target!r} has {distinct}", "classes")
        return
    rarest = min(labels, key=lambda label: labels[label])
    needed = 2 * config.cv_folds if type(config.cv_folds) is int else 4
    if labels[rarest] < needed:
        message = (
            f"must have at least {needed} rows of each class but {target!r} has {labels[rarest]} of {rarest!r:.80}"
        )
        yield _wrong("target", message, "rare_class")
    positive = config.positive_class
    if positive is not None and label_meant(positive, labels) is None:
        yield _wrong("positive_class", f"must be one of {list(labels)} but got {positive!r:.80}", "unknown_class")


def _features(config: RunConfig, version: DatasetVersion) -> Iterator[FieldError]:
    features: Any = config.features
    if features is None:
        target = config.target or version.target
        if not default_features(version, target):
            yield _wrong("features", f"must be at least one but {version} has no other columns", "no_features")
        return
    if not isinstance(features, list) or not features or not all(isinstance(name, str) for name in features):
        yield _wrong("features", f"must be a list of column names but got {features!r:.80}")
        return
    if len(set(features)) < len(features):
        yield _wrong("features", "must be different columns but one is repeated", "repeated")
    barred = {config.target or version.target: "the target", version.group_column: "the group column"}
    for name in features:
        if name not in columns_of(version):
            yield _wrong("features", f"must be columns of {version} but got {name!r:.80}", "unknown_column")
        elif name in barred:
            yield _wrong("features", f"must not hold {barred[name]} but got {name!r:.80}", "not_a_feature")


def _feature_sets(config: RunConfig, model: RegisteredModel, version: DatasetVersion) -> Iterator[FieldError]:
    if config.feature_sets is None:
        return
    columns = columns_of(version)
    features = config.features or default_features(version, str(config.target or version.target))
    try:
        found = sets_named(config.feature_sets, model.team)
        check_fit(found, {name: columns[name]["kind"] for name in features if name in columns})
    except Invalid as error:
        yield from error.errors


def _slices(config: RunConfig, version: DatasetVersion) -> Iterator[FieldError]:
    asked: Any = config.slices
    if asked is None:
        return
    if not isinstance(asked, list) or not 1 <= len(asked) <= MAX_SLICES or len({str(n) for n in asked}) < len(asked):
        yield _wrong("slices", f"must be a list of 1 to {MAX_SLICES} different columns but got {asked!r:.80}")
        return
    for name in asked:
        if not isinstance(name, str) or name not in columns_of(version):
            yield _wrong("slices", f"must be columns of {version} but got {name!r:.80}", "unknown_column")
        elif name in (config.target or version.target, version.group_column):
            yield _wrong("slices", f"must not hold the target or the group column but got {name!r:.80}", "no_slice")


def _search(config: RunConfig, task_type: str, version: DatasetVersion) -> Iterator[FieldError]:
    known, asked = known_types(task_type), config.model_types
    listed: Any = _usual(task_type, version) if asked is None else asked
    if not isinstance(listed, list) or not listed or len({str(name) for name in listed}) < len(listed):
        yield _wrong("model_types", f"must be a list of different model types but got {asked!r:.80}")
        return
    for name in listed:
        if name not in known:
            yield _wrong("model_types", f"must be among {', '.join(known)} but got {name!r:.80}", "unknown_model_type")
        elif trains_in_parts(version) and name not in (able := _in_parts(task_type)):
            message = f"must be among {', '.join(able)} for {version}, which is trained on in parts, but got {name!r}"
            yield _wrong("model_types", message, "not_in_parts")
    spaces: Any = {} if config.search_space is None else config.search_space
    if not isinstance(spaces, Mapping):
        yield _wrong("search_space", f"must be an object by model type but got {spaces!r:.80}")
        return
    for name, overrides in spaces.items():
        if problem := _space_problem(name, overrides, listed, task_type):
            yield FieldError(f"search_space.{name!s:.80}", "invalid", problem)


def _space_problem(name: object, overrides: object, listed: list[str], task_type: str) -> str:
    from training.ml import estimators

    if name not in listed:
        return f"search_space must be about {', '.join(map(str, listed))} but got {name!r:.80}"
    if not isinstance(overrides, Mapping):
        return f"search_space.{name} must be an object but got {overrides!r:.80}"
    if not overrides:
        known = ", ".join(estimators.search_space(str(name), cast("TaskType", task_type)))
        return f"search_space.{name} must name at least one of {known} but names none"
    try:
        estimators.search_space(str(name), cast("TaskType", task_type), overrides=overrides)
    except ValueError as error:
        return f"search_space.{name}: {error}"
    return ""
