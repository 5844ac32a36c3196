"""People's schedules, changed by people: how often, and whether at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from mlops_site.core import events
from mlops_site.core.beats import interval_of, length_of
from mlops_site.core.durations import length_within, spelt
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor, person, require
from monitoring.models import MonitoringSchedule
from monitoring.selectors.policies import RETRAINING
from monitoring.selectors.schedules import EVERY_MODEL, WATCHING, schedule_of
from monitoring.services.policies import flag, set_retrain_policy
from monitoring.services.reports import LONGEST, SHORTEST
from monitoring.services.ticks import drop_monitoring, keep_monitoring
from registry.models import RegisteredModel
from registry.services.guards import locked
from training.models import DataSource
from training.selectors.sources import SCHEDULED
from training.services import set_source

QUARTER = timedelta(minutes=15)
DEFAULTS = ("enabled", "every", "window", "check_after")
MAX_ROWS = 100_000_000


def set_monitoring_schedule(model: RegisteredModel, *, actor: Actor, fields: Mapping[str, Any]) -> MonitoringSchedule:
    """Give a model a schedule of its own; fields that are left out stay, or are those of every model. `every` is at
    least 5 minutes; `window`, what each report is on, 5 minutes to 366 days; both are timedelta or "7d", "12h", "30m".
    `check_after` new answers and labels make a look in between; 0: none, None: the setting's number.

    Raises Invalid naming every field at fault, Forbidden.
    """
    with locked(model) as row:
        require(actor, Action.RETRAIN_SET, row.team, subject=row.subject)
        changes = {**_checked(fields), "set_by": person(actor), "updated_at": timezone.now()}
        schedule, _ = MonitoringSchedule.objects.update_or_create(model=row, defaults=changes)
        data = schedule_said(schedule)
        events.record("monitoring_schedule.set", actor=actor, subject=schedule.subject, team=row.team.name, data=data)
        keep_monitoring(schedule)
    return schedule


def drop_monitoring_schedule(model: RegisteredModel, *, actor: Actor) -> MonitoringSchedule:
    """Give up the model's own schedule, so that the one of every model holds. Conflict `no_schedule`."""
    with locked(model) as row:
        require(actor, Action.RETRAIN_SET, row.team, subject=row.subject)
        own = schedule_of(row)
        if not own.is_own:
            raise Conflict(f"{row.name} has no monitoring schedule of its own", code="no_schedule")
        events.record("monitoring_schedule.dropped", actor=actor, subject=own.subject, team=row.team.name, data={})
        own.delete()
        drop_monitoring(row)
    return schedule_of(model)


def schedule_said(schedule: MonitoringSchedule) -> dict[str, Any]:
    """As plain JSON, durations as they are typed."""
    found = {name: getattr(schedule, name) for name in DEFAULTS}
    return {name: spelt(value) if isinstance(value, timedelta) else value for name, value in found.items()}


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    changes, errors = {}, []
    for name, value in fields.items():
        check = _CHECKS.get(name)
        if check is None:
            message = f"{name!s:.80} is unknown; known: {', '.join(_CHECKS)}"
            errors.append(FieldError(f"{name!s:.80}", "unknown_field", message))
            continue
        try:
            changes[name] = check(value)
        except ValueError as error:
            errors.append(FieldError(name, "invalid", f"{name} {error}"))
    if errors:
        raise Invalid(errors[0].message, code=errors[0].code, errors=errors)
    return changes


def _rows(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_ROWS:
        raise ValueError(f"must be a whole number from 0 to {MAX_ROWS:,}, or null, but got {value!r:.80}")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "enabled": flag,
    "every": lambda value: length_within(value, SHORTEST, LONGEST),
    "window": lambda value: length_within(value, SHORTEST, LONGEST),
    "check_after": _rows,
}


def set_schedule(task: PeriodicTask, *, actor: Actor, every: object = None, enabled: bool | None = None) -> None:
    """Change how often a schedule fires ("7d", "12h", "30m", or a timedelta), or whether it does.

    A retraining schedule is its model's policy, one of monitoring the model's own schedule, one of a source the
    source's: it is set in the actor's name, and the row follows. The schedule of every model belongs to no team, so it
    takes the right to schedule in all of them. System jobs are code: Conflict `not_editable`. Raises Invalid,
    Forbidden.
    """
    if task.name.startswith(RETRAINING):
        _set_policy(task, actor, every, enabled)
    elif task.name.startswith(WATCHING):
        _set_monitoring(task, actor, every, enabled)
    elif task.name.startswith(SCHEDULED):
        _set_source(task, actor, every, enabled)
    elif task.name == EVERY_MODEL:
        _set_row(task, actor, every, enabled)
    else:
        raise Conflict(f"{task.name} is a job of the system; it cannot be changed here", code="not_editable")


def _set_policy(task: PeriodicTask, actor: Actor, every: object, enabled: bool | None) -> None:
    model = RegisteredModel.objects.get(name=task.name.removeprefix(RETRAINING))
    interval = length_of(task) if every is None else every
    is_on = task.enabled if enabled is None else enabled
    fields: dict[str, Any] = {"scheduled_interval": interval if is_on else None}
    set_retrain_policy(model, actor=actor, fields={**fields, "enabled": True} if enabled else fields)


def _set_monitoring(task: PeriodicTask, actor: Actor, every: object, enabled: bool | None) -> None:
    model = RegisteredModel.objects.get(name=task.name.removeprefix(WATCHING))
    fields: dict[str, Any] = {} if every is None else {"every": every}
    set_monitoring_schedule(model, actor=actor, fields=fields if enabled is None else {**fields, "enabled": enabled})


def _set_source(task: PeriodicTask, actor: Actor, every: object, enabled: bool | None) -> None:
    source = DataSource.objects.select_related("team").get(name=task.name.removeprefix(SCHEDULED))
    fields: dict[str, Any] = {"every": length_of(task) if every is None else every}
    set_source(source, actor=actor, fields=fields if enabled is None else {**fields, "enabled": enabled})


def _set_row(task: PeriodicTask, actor: Actor, every: object, enabled: bool | None) -> None:
    with events.atomic():
        for team in Team.objects.order_by("pk"):
            require(actor, Action.RETRAIN_SET, team, subject=f"schedule:{task.name}")
        row = PeriodicTask.objects.select_for_update().get(pk=task.pk)
        try:
            row.interval = interval_of(length_of(row) if every is None else length_within(every, QUARTER))
        except ValueError as error:
            raise Invalid.on("every", f"every {error}", code="invalid") from error
        row.enabled = row.enabled if enabled is None else enabled
        row.save()
        data = {"every": str(row.interval), "enabled": row.enabled}
        for team in Team.objects.order_by("pk"):
            events.record("schedule.set", actor=actor, subject=f"schedule:{row.name}", team=team.name, data=data)
