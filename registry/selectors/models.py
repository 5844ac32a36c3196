"""Models, with the stages of their versions."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce

from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Action, Actor, visible
from registry.choices import Stage
from registry.models import Alias, DeployPolicy, RegisteredModel, StageInterval, Version
from registry.selectors.search import found_models, known

_NUMBER = ("major", "minor", "patch", "model")
_ALIASES = (
    Alias.objects.select_related("version").only("name", "model", *(f"version__{part}" for part in _NUMBER))
).order_by("name")
ORDERINGS = ("name", "-name", "updated_at", "-updated_at", "version_count", "-version_count")


def models(actor: Actor, *, ordering: str = "name", **filters: Any) -> QuerySet[RegisteredModel]:
    """The models that `search.found_models` finds, each with `version_count`, and, in `open_intervals`, the
    newest version per stage. Two queries, however many rows; `with_aliases` adds one."""
    known("ordering", ordering, ORDERINGS)
    rows = found_models(actor, **filters).select_related("team", "owner")
    return _complete(rows).order_by(ordering, "pk")


def _complete(rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    return _with_counts(rows).prefetch_related(_stages())


def with_aliases(rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    return rows.prefetch_related(Prefetch("aliases", queryset=_ALIASES))


def _with_counts(rows: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    counted = (
        Version.objects.filter(model=OuterRef("pk")).order_by().values("model").annotate(n=Count("pk")).values("n")
    )
    return rows.annotate(version_count=Coalesce(Subquery(counted), 0))


def _stages() -> Prefetch[str]:
    """The newest version of each stage of each model, without the heavy columns of a version."""
    same = StageInterval.objects.open().filter(model=OuterRef("model"), stage=OuterRef("stage"))
    newest = same.order_by("-version__major", "-version__minor", "-version__patch").values("pk")[:1]
    rows = (
        StageInterval.objects.open()
        .filter(pk=Subquery(newest))
        .select_related("version")
        .only("model", "stage", "version__major", "version__minor", "version__patch", "version__model")
    )
    return Prefetch("intervals", queryset=rows, to_attr="open_intervals")


def stages_of(model: RegisteredModel) -> dict[str, str]:
    """Stage -> number of its newest version, of a model from `models`; in the order of a version's life."""
    found = {interval.stage: interval.version.number for interval in getattr(model, "open_intervals")}  # noqa: B009
    return {stage: found[stage] for stage in Stage.values if stage in found}


def model_named(actor: Actor, name: str, *, action: Action = Action.VIEW) -> RegisteredModel:
    """One model as in `models`; NotFound if it is absent or not the actor's to see."""
    rows = visible(actor, RegisteredModel.objects.filter(name=name), action=action).select_related("team", "owner")
    found = _complete(rows).first()
    if found is None:
        raise NotFound(f"no model {name[:80]!r} here, or it belongs to another team", code="unknown_model")
    return found


def aliases_of(model: RegisteredModel) -> dict[str, str]:
    """Alias -> number of its version; one query, unless the model is from `models`."""
    is_fetched = "aliases" in getattr(model, "_prefetched_objects_cache", {})
    rows = model.aliases.all() if is_fetched else _ALIASES.filter(model=model)
    return {alias.name: alias.version.number for alias in rows}


def policy(model: RegisteredModel) -> DeployPolicy | None:
    """The deploy policy in force: the newest."""
    return model.policies.order_by("-pk").select_related("set_by").first()
