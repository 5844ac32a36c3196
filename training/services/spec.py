"""A request for a run, checked against its model and data set and completed with defaults."""

from __future__ import annotations

from typing import Any

from mlops_site.core.errors import Invalid
from registry.models import RegisteredModel
from training.choices import CrossValidation, Need
from training.models import DatasetVersion
from training.services.checks import problems, types_of
from training.services.config import RunConfig
from training.services.constraints import held
from training.services.feature_uses import sets_of
from training.services.schema import default_features, label_meant, labels_of

WHERE = ("workers", "gpu")  # where a run is done is no part of what it makes
DEFAULT_METRICS = {"binary": "roc_auc", "classification": "f1_score", "regression": "rmse"}


def completed(config: RunConfig, *, model: RegisteredModel, version: DatasetVersion) -> dict[str, Any]:
    """The spec of a run: everything but the data and the seed. Invalid names every field at fault."""
    errors = list(problems(config, model, version))
    if errors:
        raise Invalid(errors[0].message, code=errors[0].code, errors=errors)
    target = config.target or version.target
    task_type = str(model.task_type)
    labels = labels_of(version, target) if task_type == "classification" else None
    searched = config.hyperparameter_optimization
    return {
        "task_type": task_type,
        "target": target,
        "positive_class": _positive(config, labels),
        "features": config.features or default_features(version, target),
        "model_types": types_of(config, task_type, version),
        "hyperparameter_optimization": searched,
        "n_trials": config.n_trials if searched else 1,
        "search_space": config.search_space or {},
        "cv": config.cv or _default_cv(version),
        "cv_folds": config.cv_folds,
        "metric": config.metric or _default_metric(task_type, labels),
        "auto_deploy_threshold": config.auto_deploy_threshold,
        "margin": float(config.margin),
        **_asked_for(config),
        **_read(config, version, target),
    }


def _asked_for(config: RunConfig) -> dict[str, Any]:
    """What most runs do without, named only where it is asked for: the same request as ever is the same config, and
    what it makes of new data is a patch of the version before."""
    names = ("cost_matrix", "capacity", "calibration", "slices", "available_at", "nested_folds")
    need = "" if config.need == Need.NON_INFERIOR else config.need
    weight = 0 if config.new_rows_weight == 1 else float(config.new_rows_weight)
    asked: dict[str, Any] = {"monotone": held(config), "need": need, "new_rows_weight": weight}
    asked |= {"workers": config.workers if config.workers > 1 else 0, "gpu": config.gpu}
    asked |= {name: getattr(config, name) for name in names}
    return {name: value for name, value in asked.items() if value}


def _read(config: RunConfig, version: DatasetVersion, target: str) -> dict[str, Any]:
    """The feature sets that the version will read when it serves; nothing where there are none."""
    features = config.features or default_features(version, target)
    sets = sets_of(version, features) if config.feature_sets is None else list(config.feature_sets)
    return {"feature_sets": sets} if sets else {}


def _positive(config: RunConfig, labels: dict[Any, int] | None) -> Any:
    """The label asked for, else of two the rarer one (on a tie the later one)."""
    if labels is None:
        return None
    if config.positive_class is not None:
        return label_meant(config.positive_class, labels)
    return min(sorted(labels, reverse=True), key=lambda label: labels[label]) if len(labels) == 2 else None


def _default_cv(version: DatasetVersion) -> str:
    if version.group_column:
        return CrossValidation.GROUP.value
    return CrossValidation.TIME.value if version.time_column else CrossValidation.STRATIFIED.value


def _default_metric(task_type: str, labels: dict[Any, int] | None) -> str:
    return DEFAULT_METRICS["binary" if labels is not None and len(labels) == 2 else task_type]
