"""How far MLflow is behind: with runs as with the versions and stages of the registry."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Now

from mlops_site.core.choices import ENDED
from mlops_site.core.permissions import Action, Actor
from registry import selectors as registry
from registry.selectors import Lag
from registry.selectors.mirror import is_due as is_due_in_registry
from training.models import Run, UnrecordedRun


def lag(actor: Actor | None = None) -> Lag:
    """Of the actor's teams, or of all."""
    rows = UnrecordedRun.objects.filter(run__state__in=ENDED)
    if actor is not None:
        rows = rows.filter(run__model__team__in=actor.teams(Action.VIEW))
    return _joined(_of(rows), registry.lag(actor))


def run_lag(run: Run) -> Lag:
    """Of one run."""
    return _of(UnrecordedRun.objects.filter(run=run, run__state__in=ENDED))


def in_mlflow(run: Run) -> dict[str, Any]:
    """`{run_id, url}` once MLflow has a record of the run; before, whether it waits, since when and why."""
    if run.mlflow or not run.has_ended:
        return dict(run.mlflow)
    found = run_lag(run)
    return {"waiting": True, "since": found.oldest_at, "error": found.error} if found.waiting else {}


def is_due() -> bool:
    ended = UnrecordedRun.objects.filter(run__state__in=ENDED, next_at__lte=Now())
    return ended.exists() or is_due_in_registry()


def _of(rows: QuerySet[UnrecordedRun]) -> Lag:
    sums = rows.aggregate(waiting=Count("pk"), oldest=Min("run__finished_at"))
    failed = rows.exclude(error="").order_by("-attempts", "pk").values_list("error", flat=True).first()
    return Lag(sums["waiting"], sums["oldest"], failed or "")


def _joined(one: Lag, other: Lag) -> Lag:
    oldest = min((at for at in (one.oldest_at, other.oldest_at) if at is not None), default=None)
    return Lag(one.waiting + other.waiting, oldest, one.error or other.error)
