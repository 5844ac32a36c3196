"""Which version is in which stage, now and then."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from mlops_site.core.prepared import PreparedObjects
from registry.choices import Cause, Stage
from registry.models import RegisteredModel, StageInterval, Version


def in_production(model: RegisteredModel) -> Version | None:
    """The version that serves now, by one statement: readers see exactly one, once there has been one."""
    return next((interval.version for interval in _serving(model.pk)), None)


@PreparedObjects
def _serving(model: int) -> QuerySet[StageInterval]:
    rows = StageInterval.objects.open().filter(model=model).filter(stage=Stage.PRODUCTION)
    return rows.select_related("version__model")


def served_at(model: RegisteredModel, moment: datetime) -> Version | None:
    """The version that served the model at a moment."""
    rows = StageInterval.objects.in_production_at(moment).filter(model=model)
    found = rows.select_related("version__model").first()
    return None if found is None else found.version


def interval_at(version: Version, moment: datetime) -> StageInterval | None:
    """The stage that a version was in at a moment, with who brought it there and by which request or policy."""
    rows = version.intervals.filter(started_at__lte=moment).select_related("by", "policy__set_by", "request__requester")
    return rows.order_by("-started_at", "-pk").first()


def intervals(version: Version) -> QuerySet[StageInterval]:
    """A version's stages, oldest first."""
    return _life(version.pk)


def life(version: Version) -> list[StageInterval]:
    """The same with no more than who moved it, when and why."""
    return _read_life(version.pk)


@PreparedObjects
def _read_life(version: int) -> QuerySet[StageInterval]:
    told = ("version", "stage", "started_at", "ended_at", "reason", "cause", "by__username")
    return _life(version).select_related(None).select_related("by").only(*told)


def _life(version: int) -> QuerySet[StageInterval]:
    rows = StageInterval.objects.filter(version=version).select_related("by", "policy", "request")
    return rows.order_by("started_at", "pk")


def history(model: RegisteredModel) -> QuerySet[StageInterval]:
    """Every stage of every version of a model, latest first."""
    rows = model.intervals.select_related("by", "version__model", "policy", "request")
    return rows.order_by("-started_at", "-pk")


def rollback_targets(model: RegisteredModel) -> list[Version]:
    """What a rollback may go back to: the earlier production versions that were not themselves rolled back, latest
    first, each once. One query."""
    withdrawn = StageInterval.objects.filter(version=OuterRef("version"), cause=Cause.WITHDRAWN, pk__gt=OuterRef("pk"))
    served = StageInterval.objects.filter(model=model, stage=Stage.PRODUCTION, ended_at__isnull=False)
    current = StageInterval.objects.open().filter(model=model, stage=Stage.PRODUCTION).values("version")
    left = served.exclude(version__in=current).filter(~Exists(withdrawn)).order_by("-started_at", "-pk")
    rows = left.select_related("version__model__team", "version__artifact", "version__serving")
    return list({row.version_id: row.version for row in rows}.values())


def rollback_target(model: RegisteredModel) -> Version | None:
    """The first of these."""
    return next(iter(rollback_targets(model)), None)
