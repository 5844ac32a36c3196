"""How far MLflow is behind."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Min
from django.db.models.functions import Now
from django.utils import timezone

from mlops_site.core import mlflow
from mlops_site.core.permissions import Action, Actor
from registry.models import MirrorChange, Version


class Lag(NamedTuple):
    """Changes that MLflow has not been told of; `error` is what the last try at one of them said."""

    waiting: int
    oldest_at: datetime | None
    error: str

    @property
    def secs(self) -> float:
        return 0.0 if self.oldest_at is None else (timezone.now() - self.oldest_at).total_seconds()


def lag(actor: Actor | None = None, *, version: Version | None = None) -> Lag:
    """Of the actor's teams, or of all; of one version."""
    rows = MirrorChange.objects.all()
    if actor is not None:
        rows = rows.filter(model__team__in=actor.teams(Action.VIEW))
    if version is not None:
        rows = rows.filter(version=version)
    sums = rows.aggregate(waiting=Count("pk"), oldest=Min("created_at"))
    failed = rows.exclude(error="").order_by("-attempts", "pk").values_list("error", flat=True).first()
    return Lag(sums["waiting"], sums["oldest"], failed or "")


def is_due() -> bool:
    return MirrorChange.objects.filter(next_at__lte=Now()).exists()


def in_mlflow(version: Version) -> dict[str, Any]:
    """`{run_id, url, version}` of a version: the run that training logged, and what MLflow calls it once it knows."""
    found = getattr(version, "mirrored", None)
    if found is None:
        return {**version.mlflow, "version": None} if version.mlflow else {}
    run = {"run_id": found.run_id, "url": ""} | (version.mlflow if version.mlflow.get("run_id") == found.run_id else {})
    url = mlflow.page(f"models/{version.model.name}/versions/{found.number}")
    return {**run, "version": str(found.number), "url": run["url"] or url, "version_url": url}
