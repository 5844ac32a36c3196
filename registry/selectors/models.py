"""Models, with the stages of their versions."""

from __future__ import annotations

from django.db.models import Count, F, OuterRef, Prefetch, Q, QuerySet, Subquery, Window
from django.db.models.functions import Coalesce, RowNumber

from mlops_site.core.errors import Invalid, NotFound
from mlops_site.core.permissions import Action, Actor, visible
from mlops_site.core.prepared import PreparedObjects
from registry.choices import Stage
from registry.models import DeployPolicy, RegisteredModel, StageInterval, Version

ORDERINGS = ("name", "-name", "updated_at", "-updated_at", "version_count", "-version_count")


def models(
    actor: Actor, *, search: str = "", stage: str = "", team: str = "", ordering: str = "name"
) -> QuerySet[RegisteredModel]:
    """The models the actor sees, each with `version_count` and, in `open_intervals`, the newest version per stage.

    `stage` keeps the models that have a version there. Two queries, however many rows.
    """
    rows = visible(actor, RegisteredModel.objects.all()).select_related("team", "owner")
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(description__icontains=search))
    if team:
        rows = rows.filter(team__name=team)
    if stage:
        _check("stage", stage, tuple(Stage.values))
        rows = rows.filter(pk__in=StageInterval.objects.open().filter(stage=stage).values("model"))
    _check("ordering", ordering, ORDERINGS)
    return _with_counts(rows).prefetch_related(_stages()).order_by(ordering, "pk")


def _with_counts(rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    counted = (
        Version.objects.filter(model=OuterRef("pk")).order_by().values("model").annotate(n=Count("pk")).values("n")
    )
    return rows.annotate(version_count=Coalesce(Subquery(counted), 0))


def _stages() -> Prefetch[str]:
    """The newest version of each stage of each model, without the heavy columns of a version."""
    number = [f"version__{part}" for part in ("major", "minor", "patch")]
    newest_first = [F(part).desc() for part in number]
    # Not a subquery for each interval: with ten versions a model that took most of the time of a list.
    place = Window(RowNumber(), partition_by=[F("model"), F("stage")], order_by=newest_first)
    parts = {part.removeprefix("version__"): F(part) for part in number}
    rows = StageInterval.objects.open().annotate(place=place, **parts).filter(place=1).only("model", "stage")
    return Prefetch("intervals", queryset=rows, to_attr="open_intervals")


def _check(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        message = f"{field} must be one of {', '.join(known)} but got {value[:80]!r}"
        raise Invalid.on(field, message, code=f"unknown_{field}")


def stages_of(model: RegisteredModel) -> dict[str, str]:
    """Stage -> number of its newest version, of a model from `models`; in the order of a version's life."""
    found = {i.stage: f"{i.major}.{i.minor}.{i.patch}" for i in getattr(model, "open_intervals")}  # noqa: B009
    return {stage: found[stage] for stage in Stage.values if stage in found}


def model_named(actor: Actor, name: str, *, action: Action = Action.VIEW) -> RegisteredModel:
    """One model as in `models`; NotFound if it is absent or not the actor's to see."""
    return _only(_named(name, actor.teams(action)), name)


def model_located(actor: Actor, name: str, *, action: Action = Action.VIEW) -> RegisteredModel:
    """The same for what only goes on from it to something else: without counts and stages."""
    return _only(_located(name, actor.teams(action)), name)


def _only(found: list[RegisteredModel], name: str) -> RegisteredModel:
    if not found:
        raise NotFound(f"no model {name[:80]!r} here, or it belongs to another team", code="unknown_model")
    return found[0]


@PreparedObjects
def _named(name: str, teams: list[int]) -> QuerySet[RegisteredModel]:
    rows = RegisteredModel.objects.filter(name=name).filter(team__in=teams).select_related("team", "owner")
    return _with_counts(rows).prefetch_related(_stages())


@PreparedObjects
def _located(name: str, teams: list[int]) -> QuerySet[RegisteredModel]:
    return RegisteredModel.objects.filter(name=name).filter(team__in=teams).select_related("team", "owner")


def policy(model: RegisteredModel) -> DeployPolicy | None:
    """The deploy policy in force: the newest."""
    return next(iter(_policies(model.pk)), None)


@PreparedObjects
def _policies(model: int) -> QuerySet[DeployPolicy]:
    return DeployPolicy.objects.filter(model=model).order_by("-pk").select_related("set_by")[:1]
