"""Models as a list shows them, in plain rows: for a page of a hundred, objects take longer to make than to read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F, QuerySet

from mlops_site.core.permissions import Actor
from mlops_site.core.prepared import PreparedRows
from registry.models import Alias, RegisteredModel
from registry.selectors.models import in_order, newest_of_stages, ordered, with_counts
from registry.selectors.search import found_models

_PARTS = ("major", "minor", "patch")


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
        stages, aliases = _by_model(_stages(keys)), _by_model(_aliases(keys))
        told = [(*found[key], in_order(stages.get(key, {})), aliases.get(key, {})) for key in keys if key in found]
        return list(map(ModelLine._make, told))


def _by_model(rows: Iterable[tuple[int, str, int, int, int]]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for model, name, major, minor, patch in rows:
        found.setdefault(model, {})[name] = f"{major}.{minor}.{patch}"
    return found


@PreparedRows
def _lines(keys: list[int]) -> QuerySet[RegisteredModel, tuple[Any, ...]]:
    return with_counts(RegisteredModel.objects.filter(pk__in=keys)).order_by().values_list(*_COLUMNS)


@PreparedRows
def _stages(keys: list[int]) -> QuerySet[Any, tuple[Any, ...]]:
    return newest_of_stages().filter(model__in=keys).values_list("model_id", "stage", *_PARTS)


@PreparedRows
def _aliases(keys: list[int]) -> QuerySet[Alias, tuple[Any, ...]]:
    parts = [F(f"version__{part}") for part in _PARTS]
    return Alias.objects.filter(model__in=keys).order_by("name").values_list("model_id", "name", *parts)
