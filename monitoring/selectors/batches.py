"""Runs that score files."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Action, Actor
from monitoring.models import BatchRun


def batches(actor: Actor, *, model: str = "", state: str = "") -> QuerySet[BatchRun]:
    """Those of the actor's teams, newest first; a machine sees them too, for it may ask for them."""
    teams = {*actor.teams(Action.VIEW), *actor.teams(Action.PREDICT)}
    rows = BatchRun.objects.filter(model__team__in=teams)
    rows = rows.select_related("model__team", "version__model", "requested_by", "dataset__dataset")
    if model:
        rows = rows.filter(model__name=model)
    return rows.filter(state=state) if state else rows


def batch_of(actor: Actor, pk: UUID) -> BatchRun:
    found = batches(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"no scoring run {pk} here, or it belongs to another team", code="unknown_batch")
    return found


def rejections_shown(run: BatchRun, actor: Actor) -> list[dict[str, Any]]:
    """Which rows were refused. What was in them is for who may see the inputs of a prediction, or sends them."""
    team = run.model.team_id
    if actor.may(Action.INPUT_VIEW, team) or actor.may(Action.PREDICT, team):
        return list(run.rejections)
    return [{**each, "message": "the value is shown to who may see inputs"} for each in run.rejections]
