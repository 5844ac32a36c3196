"""What an answer may be held to: to rise, or to fall, with a feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from mlops_site.core.errors import FieldError
from registry.models import RegisteredModel
from training.models import DatasetVersion
from training.services.config import RunConfig
from training.services.schema import columns_of, default_features, labels_of

if TYPE_CHECKING:
    from mlops_site.stats.scored import TaskType

SIGNS = (-1, 0, 1)


def held(config: RunConfig) -> dict[str, int]:
    """The features that a run's answer must rise (1) or fall (-1) with."""
    return {name: sign for name, sign in (config.monotone or {}).items() if sign}


def able(names: list[str], task_type: str) -> list[str]:
    """Of model types those that can be held to it."""
    from training.ml import estimators  # imports scikit-learn, which no web process needs before somebody trains

    return [name for name in names if estimators.takes_monotone(name, cast("TaskType", task_type))]


def monotone_problems(config: RunConfig, model: RegisteredModel, version: DatasetVersion) -> Iterator[FieldError]:
    """What is wrong with `monotone`, feature by feature."""
    asked: Any = config.monotone
    if asked is None:
        return
    if not isinstance(asked, Mapping):
        yield FieldError("monotone", "invalid", f"monotone must be an object by feature but got {asked!r:.80}")
        return
    columns, target = columns_of(version), config.target or version.target
    used: Any = default_features(version, target) if config.features is None else config.features
    if not isinstance(used, list):
        return  # which is said of the features themselves
    for name, sign in asked.items():
        field = f"monotone.{name!s:.80}"
        if name not in used:
            yield FieldError(field, "unknown_feature", f"{field} must be a feature of this run but {name!r:.80} is not")
        elif type(sign) is not int or sign not in SIGNS:
            yield FieldError(field, "out_of_range", f"{field} must be -1, 0 or 1 but got {sign!r:.80}")
        elif sign and columns[name]["kind"] != "number":
            yield FieldError(field, "no_order", f"{field} must be 0: {name!r:.80} is a category, which has no order")
    if any(sign for sign in asked.values()):
        yield from _whole(config, model, version, target)


def _whole(config: RunConfig, model: RegisteredModel, version: DatasetVersion, target: str) -> Iterator[FieldError]:
    task_type = str(model.task_type)
    if task_type == "classification" and target in columns_of(version) and len(labels_of(version, target)) > 2:
        message = "monotone must be left out for more than two classes: none of them rises or falls by itself"
        yield FieldError("monotone", "too_many_classes", message)
    from training.ml import estimators

    known = estimators.names(cast("TaskType", task_type))
    listed: Any = config.model_types
    for name in listed if isinstance(listed, list) else ():
        if name in known and not able([name], task_type):
            message = f"monotone needs model_types among {', '.join(able(known, task_type))} but got {name!r}"
            yield FieldError("monotone", "monotone_unsupported", message)
