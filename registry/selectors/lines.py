"""Models as a list shows them, in plain rows: for a page of a hundred, objects take longer to make than to read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from mlops_site.core.permissions import Actor
from mlops_site.core.prepared import PreparedRows
from registry.models import RegisteredModel
from registry.selectors.models import aliases_by_model, in_order, ordered, stages_by_model, with_counts
from registry.selectors.search import found_models


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


class ModelLines:
    """The models that `models` finds, for a paginator: one statement counts them, four read a page."""

    def __init__(self, actor: Actor, *, ordering: str = "name", **filters: Any) -> None:
        self._rows = found_models(actor, **filters)
        self._ordering = ordering
        self._sorted = ordered(self._rows, ordering)

    def count(self) -> int:
        return self._rows.count()

    def __len__(self) -> int:
        return self.count()

    def __getitem__(self, part: slice) -> list[ModelLine]:
        keys = list(self._sorted.values_list("pk", flat=True)[part])
        found = {row[0]: row for row in _lines(keys)}
        stages, aliases = stages_by_model(keys), aliases_by_model(keys)
        told = [(*found[key], in_order(stages.get(key, {})), aliases.get(key, {})) for key in keys if key in found]
        return list(map(ModelLine._make, told))


@PreparedRows
def _lines(keys: list[int]) -> QuerySet[RegisteredModel, tuple[Any, ...]]:
    return with_counts(RegisteredModel.objects.filter(pk__in=keys)).order_by().values_list(*_COLUMNS)
