"""When a model is trained again by itself: set by a person, in whose name its runs are requested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import FieldError, Invalid
from mlops_site.core.permissions import Action, Actor, person, require
from monitoring.models import RetrainPolicy
from monitoring.selectors.policies import origin_of
from monitoring.services.durations import HOUR, length_within, spelt
from monitoring.services.ticks import keep_schedule
from registry.models import RegisteredModel
from registry.services.guards import locked, plain_json
from training.models import DatasetVersion
from training.services.config import RunConfig
from training.services.spec import completed

MAX_LABELS = 1_000_000
OVERRIDABLE = set(RunConfig.__dataclass_fields__) - {"model_name"}


def set_retrain_policy(model: RegisteredModel, *, actor: Actor, fields: Mapping[str, Any]) -> RetrainPolicy:
    """Set the fields that are given; the others stay, or take their defaults. Durations are timedelta or "7d", "12h",
    "30m". `config_overrides` are fields of POST /training/start, checked against the data that the version in
    production was trained on. Runs are requested in the name of whoever set the policy last.

    Raises Invalid naming every field at fault, Forbidden.
    """
    with locked(model) as row:
        require(actor, Action.RETRAIN_SET, row.team, subject=row.subject)
        changes = _checked(fields)
        if "config_overrides" in changes:
            check_overrides(row, changes["config_overrides"])
        changes |= {"set_by": person(actor), "updated_at": timezone.now()}
        policy, _ = RetrainPolicy.objects.update_or_create(model=row, defaults=changes)
        events.record("retrain_policy.set", actor=actor, subject=policy.subject, team=row.team.name, data=said(policy))
        keep_schedule(policy)
    return policy


def said(policy: RetrainPolicy) -> dict[str, Any]:
    """The policy as plain JSON, durations as they are typed."""
    return {name: spelt(value) if isinstance(value := getattr(policy, name), timedelta) else value for name in _CHECKS}


def check_overrides(model: RegisteredModel, overrides: Mapping[str, Any]) -> None:
    """Raise Invalid naming every field of a run's config that is unknown or, on the data of the version in production,
    wrong. Of a model that was never trained here only the names can be checked."""
    check_names(overrides)
    origin = origin_of(model)
    if origin is not None:
        spec_with(model, origin.dataset, {**origin.spec, "seed": origin.seed}, overrides)


def check_names(overrides: Mapping[str, Any]) -> None:
    """Raise Invalid naming what is no field of a run's config, or no plain JSON."""
    plain_json("config_overrides", overrides)
    unknown = [name for name in overrides if name not in OVERRIDABLE]
    if unknown:
        message = f"no field of a run; known: {', '.join(sorted(OVERRIDABLE))}"
        raise _invalid([_unknown(f"config_overrides.{name!s:.80}", message) for name in unknown])


def spec_with(
    model: RegisteredModel, dataset: DatasetVersion, base: Mapping[str, Any], *overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of a run: a base, with later overrides over earlier ones, checked against the data set. Invalid names
    each field at fault as one of config_overrides."""
    asked = dict(base)
    for changes in overrides:
        if "model_types" in changes and "search_space" not in changes:  # what was said of other types says nothing here
            kept, types = asked.get("search_space") or {}, changes["model_types"]
            wanted = types if isinstance(types, list | tuple) else ()  # anything else is refused below
            asked["search_space"] = {name: space for name, space in kept.items() if name in wanted}
        asked |= changes
    try:
        completed(RunConfig(model_name=model.name, **asked), model=model, version=dataset)
    except Invalid as error:
        raise _invalid([e._replace(field=f"config_overrides.{e.field}") for e in error.errors]) from error
    return asked


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    changes, errors = {}, []
    for name, value in fields.items():
        if name not in _CHECKS:
            errors.append(_unknown(f"{name!s:.80}", f"unknown; known: {', '.join(_CHECKS)}"))
            continue
        try:
            changes[name] = _CHECKS[name](value)
        except ValueError as error:
            errors.append(FieldError(name, "invalid", f"{name} {error}"))
    if errors:
        raise _invalid(errors)
    return changes


def _unknown(field: str, message: str) -> FieldError:
    return FieldError(field, "unknown_field", f"{field} is {message}")


def _invalid(errors: list[FieldError]) -> Invalid:
    return Invalid(errors[0].message, code=errors[0].code, errors=errors)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false but got {value!r:.80}")
    return value


def _share(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"must be from 0 to 1, or null to switch the trigger off, but got {value!r:.80}")
    return float(value)


def _labels(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LABELS:
        raise ValueError(f"must be a whole number from 1 to {MAX_LABELS:,} but got {value!r:.80}")
    return value


def _interval(value: object) -> timedelta | None:
    return None if value is None else length_within(value, HOUR)


def _cool_down(value: object) -> timedelta:
    return length_within(value, timedelta(0))


def _overrides(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"must be an object of fields of a run but got {value!r:.80}")
    return dict(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "enabled": _flag,
    "performance_degradation": _share,
    "data_drift_score": _share,
    "prediction_volume_drop": _share,
    "scheduled_interval": _interval,
    "cool_down": _cool_down,
    "min_labels": _labels,
    "keeps_training_rows": _flag,
    "config_overrides": _overrides,
}
