"""Models as a list shows them, in plain rows: for a page of a hundred, objects take longer to make than to read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from mlops_site.core.permissions import Actor
from mlops_site.core.prepared import PreparedObjects
from registry.models import RegisteredModel
from registry.selectors.models import ORDERINGS, names_by_model, ordered, with_counts
from registry.selectors.paged import Conditions, Kept, Paged, matching
from registry.selectors.search import known, model_conditions


class ModelLine(NamedTuple):
    """What a model's line tells, each field as the model names it."""

    pk: int
    name: str
    description: str
    purpose: str
    intended_use: str
    limitations: str
    team: str
    owner: str
    task_type: str
    risk_tier: str
    tags: dict[str, str]
    version_count: int
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
    stages: dict[str, str]
    aliases: dict[str, str]


_OF_OTHERS = {"team": "team__name", "owner": "owner__username"}
_COLUMNS = [_OF_OTHERS.get(name, name) for name in ModelLine._fields[:-2]]


def model_lines(actor: Actor, *, ordering: str = "name", **filters: Any) -> Paged[ModelLine]:
    """The models that `models` finds, for a paginator: one statement finds and counts them, two read a page."""
    known("ordering", ordering, ORDERINGS)
    return _KEPT.paged(model_conditions(actor, **filters), ordering, _read)


def _ordered(conditions: Conditions, ordering: str) -> QuerySet[RegisteredModel]:
    return ordered(matching(RegisteredModel.objects.all(), conditions), ordering)


_KEPT = Kept(_ordered)


def _read(keys: list[int]) -> list[ModelLine]:
    found = {row[0]: row for row in _lines(keys)}
    names = names_by_model(keys)
    return [ModelLine._make((*found[key], *names[key])) for key in keys if key in found]


@PreparedObjects
def _lines(keys: list[int]) -> QuerySet[RegisteredModel, tuple[Any, ...]]:
    return with_counts(RegisteredModel.objects.filter(pk__among=keys)).order_by().values_list(*_COLUMNS)
