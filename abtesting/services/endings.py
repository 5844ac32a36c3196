"""How an experiment ends: once, with its split closed, its alerts resolved, and a record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from abtesting.choices import Ending, Status
from abtesting.models import Epoch, Experiment
from mlops_site.core import events
from mlops_site.core.models import Team
from mlops_site.core.permissions import Actor
from monitoring.services import resolve_experiment
from registry.choices import Cause, Stage
from registry.models import RegisteredModel, StageInterval, Version

STOPPED = "experiment.stopped"


def end(experiment: Experiment, *, ending: Ending, actor: Actor, reason: str) -> None:
    """Stop without a verdict, under the locks of the model and of the experiment."""
    experiment.status, experiment.ending = Status.STOPPED, ending
    close(experiment, actor=actor, reason=reason)
    experiment.save(update_fields=["status", "ending", "ended_by", "ended_at", "end_reason"])
    data = {"ending": str(ending), "reason": reason}
    events.record(STOPPED, actor=actor, subject=experiment.subject, team=experiment.model.team.name, data=data)


def close(experiment: Experiment, *, actor: Actor, reason: str) -> None:
    """What every ending has: no split is open, nobody is alarmed any more. The caller saves the experiment."""
    at = max(timezone.now(), _last_start(experiment))
    Epoch.objects.filter(experiment=experiment, ended_at=None).update(ended_at=at)
    experiment.ended_at, experiment.ended_by, experiment.end_reason = at, actor.user, reason
    comment = f"experiment {experiment.pk} has ended: {reason}"
    resolve_experiment(experiment.model, subject=alert_key(experiment), actor=actor, comment=comment[:2000])


def alert_key(experiment: Experiment, part: str = "") -> str:
    """What its alerts are about; without a part, how all of them begin."""
    return f"experiment {experiment.pk}: {part}"


def stop_for_version(version: Version, *, before: str, stage: str, interval: StageInterval) -> Experiment | None:
    """A version has changed its stage, in that transaction and under the model's lock: the experiment in which it had
    its place ends. None where there is none."""
    row = _running(version.model_id)
    if row is None or before != {row.version_a_id: Stage.PRODUCTION, row.version_b_id: Stage.STAGING}.get(version.pk):
        return None
    by = interval.by
    actor = Actor(by.username, by) if by is not None else Actor.system("experiments")
    why = f": {interval.reason}" if interval.reason else ""
    reason = f"{version.number} left {before} for {stage} ({Cause(interval.cause).label}){why}"
    end(row, ending=Ending.VERSION_LEFT, actor=actor, reason=reason[:2000])
    return row


def stop_for_transfer(model: RegisteredModel, *, before: Team, actor: Actor) -> Experiment | None:
    """A model has another team, in that transaction and under its lock: whoever asked the experiment's question may
    not end it any more, and its challenger was let to claims by people of the other team. None where none runs."""
    row = _running(model.pk)
    if row is not None:
        reason = f"{model.name} went from team {before.name} to team {row.model.team.name}"
        end(row, ending=Ending.TRANSFERRED, actor=actor, reason=reason)
    return row


def _running(model: int) -> Experiment | None:
    rows = Experiment.objects.select_for_update(no_key=True, of=("self",)).filter(model=model, status=Status.RUNNING)
    return rows.select_related("model__team").first()


def _last_start(experiment: Experiment) -> datetime:
    rows: Any = Epoch.objects.filter(experiment=experiment, ended_at=None).values_list("started_at", flat=True)
    return next(iter(rows), experiment.started_at)
