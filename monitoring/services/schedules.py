"""People's schedules, changed by people: how often, and whether at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django_celery_beat.models import PeriodicTask

from mlops_site.core import events
from mlops_site.core.beats import interval_of, length_of
from mlops_site.core.durations import length_within
from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor, require
from monitoring.selectors.policies import RETRAINING
from monitoring.services.policies import set_retrain_policy
from monitoring.services.ticks import EVERY_MODEL
from registry.models import RegisteredModel
from training.models import DataSource
from training.selectors.sources import SCHEDULED
from training.services import set_source

QUARTER = timedelta(minutes=15)


def set_schedule(task: PeriodicTask, *, actor: Actor, every: object = None, enabled: bool | None = None) -> None:
    """Change how often a schedule fires ("7d", "12h", "30m", or a timedelta), or whether it does.

    A retraining schedule is its model's policy, one of a source is the source's: it is set in the actor's name, and the
    row follows. The
    schedule of every model belongs to no team, so it takes the right to schedule in all of them. System jobs are code:
    Conflict `not_editable`. Raises Invalid, Forbidden.
    """
    if task.name.startswith(RETRAINING):
        _set_policy(task, actor, every, enabled)
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
