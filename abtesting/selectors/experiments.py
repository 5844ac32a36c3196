"""Experiments, the split that they have now, and which arm a unit is in."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from abtesting.choices import Design, Status
from abtesting.models import Epoch, Experiment
from abtesting.stats.assignment import Arm, assign
from mlops_site.core.errors import Conflict, Invalid, NotFound
from mlops_site.core.permissions import Action, Actor, visible
from mlops_site.core.prepared import PreparedObjects
from registry.models import RegisteredModel
from registry.services.guards import one_of

ALL = "all"
_ASSIGNING = (Action.PREDICT, Action.PREDICTION_LOG, Action.VIEW)
_HEAVY = tuple(
    f"version_{side}__{column}"
    for side in "ab"
    for column in ("signature", "reference", "golden", "facts", "explanation", "importance", "metrics", "params")
)


class Assigned(NamedTuple):
    """Where a unit belongs, and the version that answers it."""

    arm: Arm
    version: str


def experiments(actor: Actor, *, status: str = "", model: str = "") -> QuerySet[Experiment]:
    """Those of the actor's teams, latest first; all of them, or those of a status. A model that is not there has
    none."""
    rows = visible(actor, Experiment.objects.all(), team="model__team")
    if status and one_of("status", status, [*Status.values, ALL]) != ALL:
        rows = rows.filter(status=status)
    if model:
        rows = rows.filter(model__name=model)
    return complete(rows)


def experiment_of(actor: Actor, pk: int) -> Experiment:
    """One experiment with its splits; NotFound if it is absent or another team's."""
    return _only(complete(visible(actor, Experiment.objects.filter(pk=pk), team="model__team")), pk)


def experiment_to_assign(actor: Actor, pk: int) -> Experiment:
    """The same for whoever scores by themselves: machines too."""
    teams = {team for action in _ASSIGNING for team in actor.teams(action)}
    return _only(complete(Experiment.objects.filter(pk=pk, model__team__in=teams)), pk)


def _only(rows: QuerySet[Experiment], pk: int) -> Experiment:
    found = rows.first()
    if found is None:
        raise NotFound(f"no experiment {pk} here, or it belongs to another team", code="unknown_experiment")
    return found


def complete(rows: QuerySet[Experiment]) -> QuerySet[Experiment]:
    """With all that an answer names; two queries, however many rows."""
    people = ("created_by", "ended_by", "model__team", "version_a__model", "version_b__model")
    splits = Prefetch("epochs", queryset=Epoch.objects.order_by("number").select_related("by"))
    return rows.select_related(*people).defer(*_HEAVY).prefetch_related(splits)


def running_experiment(model: RegisteredModel) -> Experiment | None:
    """The one that runs on a model; there is at most one."""
    return next(iter(_running(model.pk)), None)


def is_tried() -> Exists:
    """Of a model in a statement, whether an experiment runs on it."""
    return Exists(Experiment.objects.filter(model=OuterRef("pk"), status=Status.RUNNING))


@PreparedObjects
def _running(model: int) -> QuerySet[Experiment]:
    rows = Experiment.objects.filter(model=model).filter(status=Status.RUNNING)
    return rows.select_related("version_a__model", "version_b__model").defer(*_HEAVY)


def open_epoch(experiment: Experiment) -> Epoch | None:
    """The split in force; None of an experiment that has ended. No query where the splits were fetched with it."""
    return next((epoch for epoch in experiment.epochs.all() if epoch.ended_at is None), None)


def assigned(experiment: Experiment, unit_id: str) -> Assigned:
    """The arm of a unit under the split in force, and the version to answer with: what `predict` does by itself.

    In a shadow test A answers all. Conflict `experiment_ended`; Invalid `unit_id` for what is no id.
    """
    epoch = open_epoch(experiment)
    if epoch is None:
        message = f"experiment {experiment.pk} is {experiment.get_status_display()}; ask the version in production"
        raise Conflict(message, code="experiment_ended")
    try:
        arm = assign(epoch.split(experiment), unit_id)
    except (TypeError, ValueError) as error:
        raise Invalid.on("unit_id", f"{error!s:.200}", code="invalid") from error
    if experiment.design == Design.SHADOW and arm == "b":
        arm = "a"
    return Assigned(arm, (experiment.version_b if arm == "b" else experiment.version_a).number)
