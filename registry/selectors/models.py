"""Models, with the stages of their versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import Count, F, OuterRef, Prefetch, QuerySet, Subquery, Value, Window
from django.db.models.functions import Coalesce, RowNumber

from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Action, Actor
from mlops_site.core.prepared import PreparedObjects
from registry.choices import Stage
from registry.models import Alias, DeployPolicy, RegisteredModel, StageInterval, Version
from registry.selectors.search import found_models, known

_STAGES = tuple(Stage.values)  # the enumeration makes it anew each time
_NUMBER = ("major", "minor", "patch", "model")
_ALIASES = (
    Alias.objects.select_related("version").only("name", "model", *(f"version__{part}" for part in _NUMBER))
).order_by("name")
ORDERINGS = ("name", "-name", "updated_at", "-updated_at", "version_count", "-version_count")


def models(actor: Actor, *, ordering: str = "name", **filters: Any) -> QuerySet[RegisteredModel]:
    """The models that `search.found_models` finds, each with `version_count`, and, in `open_intervals`, the
    newest version per stage. Two queries, however many rows; `with_aliases` adds one."""
    rows = found_models(actor, **filters).select_related("team", "owner")
    return ordered(_complete(rows), ordering)


def ordered(rows: QuerySet[RegisteredModel], ordering: str) -> QuerySet[RegisteredModel]:
    known("ordering", ordering, ORDERINGS)
    counted = with_counts(rows) if "version_count" in ordering else rows
    return counted.order_by(ordering, "pk")


def _complete(rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    return with_counts(rows).prefetch_related(_stages())


def with_aliases(rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    return rows.prefetch_related(Prefetch("aliases", queryset=_ALIASES))


def with_counts(rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    counted = Version.objects.filter(model=OuterRef("pk")).order_by().values("model").annotate(n=Count("*")).values("n")
    return rows.annotate(version_count=Coalesce(Subquery(counted), 0))


def _stages() -> Prefetch[str]:
    return Prefetch("intervals", queryset=newest_of_stages().only("model", "stage"), to_attr="open_intervals")


def newest_of_stages() -> QuerySet[StageInterval]:
    """The newest version of each stage of each model, by its major, minor and patch."""
    number = [f"version__{part}" for part in ("major", "minor", "patch")]
    newest_first = [F(part).desc() for part in number]
    # Not a subquery for each interval: with ten versions a model that took most of the time of a list.
    place = Window(RowNumber(), partition_by=[F("model"), F("stage")], order_by=newest_first)
    parts = {part.removeprefix("version__"): F(part) for part in number}
    return StageInterval.objects.open().annotate(place=place, **parts).filter(place=1)


class Names(NamedTuple):
    """What names versions of a model now, each with the number of its version."""

    stages: dict[str, str]  # in the order of a version's life; of each stage the newest version
    aliases: dict[str, str]  # by name


def stages_of(model: RegisteredModel) -> dict[str, str]:
    """As in `Names`; one query, unless the model is from `models` or `with_names`."""
    fetched = getattr(model, "open_intervals", None)
    if fetched is None:
        return _names_of(model).stages
    return in_order({i.stage: f"{i.major}.{i.minor}.{i.patch}" for i in fetched})


def aliases_of(model: RegisteredModel) -> dict[str, str]:
    """The same."""
    if "aliases" not in getattr(model, "_prefetched_objects_cache", {}):
        return _names_of(model).aliases
    return {alias.name: alias.version.number for alias in model.aliases.all()}


def with_names(model: RegisteredModel) -> RegisteredModel:
    """For an answer that tells both, the names as they are now, by one query."""
    model.names = names_by_model([model.pk])[model.pk]
    return model


def _names_of(model: RegisteredModel) -> Names:
    read: Names | None = model.names
    return names_by_model([model.pk])[model.pk] if read is None else read


def names_by_model(models: list[int]) -> dict[int, Names]:
    """Of each of these models; one query."""
    found = {model: Names({}, {}) for model in models}
    rows = _names_of_one(models[0]) if len(models) == 1 else _name_rows(models)
    for is_alias, model, name, major, minor, patch in rows:
        found[model][is_alias][name] = f"{major}.{minor}.{patch}"
    return {model: Names(in_order(names.stages), names.aliases) for model, names in found.items()}


@PreparedObjects
def _name_rows(models: list[int]) -> QuerySet[Any, tuple[Any, ...]]:
    return _told("model__among", models)


@PreparedObjects
def _names_of_one(model: int) -> QuerySet[Any, tuple[Any, ...]]:
    return _told("model", model)  # PostgreSQL would plan the other one anew for each single key


def _told(path: str, value: Any) -> QuerySet[Any, tuple[Any, ...]]:
    parts = [F(f"version__{part}") for part in ("major", "minor", "patch")]
    # The versions are narrowed down too: of the models' intervals alone PostgreSQL cannot tell that theirs are few, and
    # reads all that there are.
    stages = newest_of_stages().filter(**{path: value}).filter(**{f"version__{path}": value})
    aliases = Alias.objects.filter(**{path: value}).order_by()
    told = stages.values_list(Value(0), "model_id", "stage", "major", "minor", "patch")
    return told.union(aliases.values_list(Value(1), "model_id", "name", *parts), all=True).order_by("stage")


def in_order(stages: Mapping[str, str]) -> dict[str, str]:
    """In the order of a version's life."""
    return {stage: stages[stage] for stage in _STAGES if stage in stages}


def model_named(actor: Actor, name: str, *, action: Action = Action.VIEW) -> RegisteredModel:
    """One model with its `version_count`; NotFound if it is absent or not the actor's to see."""
    return only_model(_named(name, actor.teams(action)), name)


def model_located(actor: Actor, name: str, *, action: Action = Action.VIEW) -> RegisteredModel:
    """The same for what only goes on from it to something else: without the count."""
    return only_model(_located(name, actor.teams(action)), name)


def only_model(found: list[RegisteredModel], name: str) -> RegisteredModel:
    """What was found under a name, or NotFound."""
    if not found:
        raise NotFound(f"no model {name[:80]!r} here, or it belongs to another team", code="unknown_model")
    return found[0]


def models_named(name: str, teams: list[int]) -> QuerySet[RegisteredModel]:
    """Those that `model_named` looks for, to be told more of, as a prepared statement."""
    rows = RegisteredModel.objects.filter(name=name).filter(team__among=teams).select_related("team", "owner")
    return with_counts(rows)


_named = PreparedObjects(models_named)


@PreparedObjects
def _located(name: str, teams: list[int]) -> QuerySet[RegisteredModel]:
    return RegisteredModel.objects.filter(name=name).filter(team__among=teams).select_related("team", "owner")


def policy(model: RegisteredModel) -> DeployPolicy | None:
    """The deploy policy in force: the newest."""
    return next(iter(_policies(model.pk)), None)


@PreparedObjects
def _policies(model: int) -> QuerySet[DeployPolicy]:
    return DeployPolicy.objects.filter(model=model).order_by("-pk").select_related("set_by")[:1]
