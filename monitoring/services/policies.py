"""When a model is trained again by itself: set by a person, in whose name its runs are requested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.durations import HOUR, length_within, spelt
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor, person, require
from monitoring.models import RetrainPolicy, RetrainRules, TeamRetrainPolicy
from monitoring.selectors.policies import origin_of, policy_of, team_policy_of
from monitoring.services.ticks import keep_schedule
from registry.models import RegisteredModel
from registry.services.guards import locked, plain_json
from training.models import DatasetVersion, Run
from training.services.config import RunConfig
from training.services.spec import completed

MAX_LABELS = 1_000_000
MAX_BUDGET = 1_000
LEAST_WEIGHT, MOST_WEIGHT = 0.01, 100.0
OVERRIDABLE = set(RunConfig.__dataclass_fields__) - {"model_name", "new_rows_weight"}


def set_retrain_policy(model: RegisteredModel, *, actor: Actor, fields: Mapping[str, Any]) -> RetrainPolicy:
    """Set the fields that are given; the others stay, or take their defaults. Durations are timedelta or "7d", "12h",
    "30m". `config_overrides` are fields of POST /training/start, checked against the data that the version in
    production was trained on. Runs are requested in the name of whoever set the policy last.

    Raises Invalid naming every field at fault, Forbidden.
    """
    with locked(model) as row:
        require(actor, Action.RETRAIN_SET, row.team, subject=row.subject)
        changes = checked(fields)
        if "config_overrides" in changes:
            check_overrides(row, changes["config_overrides"])
        changes |= {"set_by": person(actor), "updated_at": timezone.now()}
        policy, _ = RetrainPolicy.objects.update_or_create(
            model=row, defaults=changes, create_defaults={**inherited(row), **changes}
        )
        events.record("retrain_policy.set", actor=actor, subject=policy.subject, team=row.team.name, data=said(policy))
        keep_schedule(policy)
    return policy


def drop_retrain_policy(model: RegisteredModel, *, actor: Actor) -> RetrainPolicy:
    """Give up the model's own policy, so that its team's holds, or none. Conflict `no_policy` where it has none."""
    with locked(model) as row:
        require(actor, Action.RETRAIN_SET, row.team, subject=row.subject)
        own = RetrainPolicy.objects.select_related("model__team").filter(model=row).first()
        if own is None:
            raise Conflict(f"{row.name} has no retrain policy of its own", code="no_policy")
        own.scheduled_interval = None
        keep_schedule(own)
        events.record("retrain_policy.dropped", actor=actor, subject=own.subject, team=row.team.name, data={})
        own.delete()
    return policy_of(row)


def set_team_retrain_policy(team: Team, *, actor: Actor, fields: Mapping[str, Any]) -> TeamRetrainPolicy:
    """Set what holds for the models of a team that have no policy of their own; see `set_retrain_policy`. The budget of
    the team, `team_daily_budget`, holds for all of its models. Raises Invalid, Forbidden."""
    with events.atomic():
        require(actor, Action.RETRAIN_SET, team, subject=f"team_retrain_policy:{team.name}")
        changes = checked(fields, {**_CHECKS, "team_daily_budget": _budget})
        check_names(changes.get("config_overrides", {}))
        changes |= {"set_by": person(actor), "updated_at": timezone.now()}
        policy, _ = TeamRetrainPolicy.objects.update_or_create(team=team, defaults=changes)
        data = said(policy)
        events.record("team_retrain_policy.set", actor=actor, subject=policy.subject, team=team.name, data=data)
    return policy


def inherited(model: RegisteredModel) -> dict[str, Any]:
    """What a model's own policy starts from: its team's, as far as there is one."""
    team = team_policy_of(model.team)
    return {} if team is None else {name: getattr(team, name) for name in _CHECKS}


def said(policy: RetrainRules) -> dict[str, Any]:
    """The policy as plain JSON, durations as they are typed."""
    names = [*_CHECKS, *(["team_daily_budget"] if isinstance(policy, TeamRetrainPolicy) else [])]
    return {name: spelt(value) if isinstance(value := getattr(policy, name), timedelta) else value for name in names}


def check_overrides(model: RegisteredModel, overrides: Mapping[str, Any]) -> None:
    """Raise Invalid naming every field of a run's config that is unknown or, on the data of the version in production,
    wrong. Of a model that was never trained here only the names can be checked."""
    check_names(overrides)
    origin = origin_of(model)
    if origin is not None:
        spec_with(model, origin.dataset, base_of(origin), overrides)


def base_of(origin: Run) -> dict[str, Any]:
    """What a run like another one asks for. How much new rows weigh belongs to a data set, and is said anew."""
    return {name: value for name, value in origin.spec.items() if name != "new_rows_weight"} | {"seed": origin.seed}


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


def checked(fields: Mapping[str, Any], checks: Mapping[str, Callable[[Any], Any]] | None = None) -> dict[str, Any]:
    """The fields of a policy in their own types; Invalid names every one at fault."""
    changes, errors, known = {}, [], checks or _CHECKS
    for name, value in fields.items():
        if name not in known:
            errors.append(_unknown(f"{name!s:.80}", f"unknown; known: {', '.join(known)}"))
            continue
        try:
            changes[name] = known[name](value)
        except ValueError as error:
            errors.append(FieldError(name, "invalid", f"{name} {error}"))
    if errors:
        raise _invalid(errors)
    return changes


def _unknown(field: str, message: str) -> FieldError:
    return FieldError(field, "unknown_field", f"{field} is {message}")


def _invalid(errors: list[FieldError]) -> Invalid:
    return Invalid(errors[0].message, code=errors[0].code, errors=errors)


def flag(value: object) -> bool:
    """True or false; ValueError for anything else."""
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


def _budget(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_BUDGET:
        raise ValueError(f"must be a whole number from 0 to {MAX_BUDGET:,}, or null for any, but got {value!r:.80}")
    return value


def _weight(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not LEAST_WEIGHT <= value <= MOST_WEIGHT:  # type: ignore[operator]
        raise ValueError(f"must be from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g} but got {value!r:.80}")
    return float(value)  # type: ignore[arg-type]


def _interval(value: object) -> timedelta | None:
    return None if value is None else length_within(value, HOUR)


def _cool_down(value: object) -> timedelta:
    return length_within(value, timedelta(0))


def _overrides(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"must be an object of fields of a run but got {value!r:.80}")
    return dict(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "enabled": flag,
    "performance_degradation": _share,
    "data_drift_score": _share,
    "prediction_volume_drop": _share,
    "scheduled_interval": _interval,
    "cool_down": _cool_down,
    "min_labels": _labels,
    "daily_budget": _budget,
    "keeps_training_rows": flag,
    "new_rows_weight": _weight,
    "config_overrides": _overrides,
}
