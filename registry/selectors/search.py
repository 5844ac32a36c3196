"""Models and versions by words and by what they are: the filters, and how many there are of each kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast

from django.db.models import CharField, Count, F, Model, QuerySet, Value, Window
from django.db.models.functions import Cast, Concat

from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor, visible
from registry.choices import RiskTier, Stage, TaskType
from registry.models import ModelTag, RegisteredModel, StageInterval, Version, VersionTag
from registry.models.version import VersionQuerySet

M = TypeVar("M", bound=Model)
L = TypeVar("L")  # what a line of a list is
MAX_WORDS = 10
MAX_FACET = 20  # values of a facet, the most frequent ones
ARCHIVED = ("no", "yes", "all")
_MLFLOW = re.compile(r"""^tags\.[`"]?(?P<key>[A-Za-z0-9_.-]+)[`"]?\s*=\s*['"]?(?P<value>[^'"]*)['"]?$""")


class Facet(NamedTuple):
    """How many of what was found have each value, the most frequent first."""

    name: str
    values: list[tuple[str, int]]


def found_models(
    actor: Actor,
    *,
    search: str = "",
    stage: str = "",
    team: str = "",
    tag: str | Sequence[str] = (),
    risk_tier: str = "",
    owner: str = "",
    task_type: str = "",
    archived: str = "no",
) -> QuerySet[RegisteredModel]:
    """The models the actor sees that hold every word and fit every filter. Archived ones are left out unless asked
    for: `archived` is no, yes (only those) or all."""
    rows = _holding(visible(actor, RegisteredModel.objects.all()), "words", search)
    rows = _archived(rows, "archived_at", archived)
    if team:
        rows = rows.filter(team__name=team)
    if owner:
        rows = rows.filter(owner__username=owner)
    if risk_tier:
        rows = rows.filter(risk_tier=known("risk_tier", risk_tier, RiskTier.values))
    if task_type:
        rows = rows.filter(task_type=known("task_type", task_type, TaskType.values))
    if stage:
        known("stage", stage, Stage.values)
        rows = rows.filter(pk__in=StageInterval.objects.open().filter(stage=stage).values("model"))
    for key, value in tags_asked(tag):
        rows = rows.filter(pk__in=_tagged(ModelTag.objects.all(), key, value).values("model"))
    return rows


def found_versions(
    actor: Actor,
    *,
    search: str = "",
    model: str = "",
    stage: str = "",
    team: str = "",
    tag: str | Sequence[str] = (),
    risk_tier: str = "",
    owner: str = "",
    task_type: str = "",
    alias: str = "",
    deprecated: bool | None = None,
    archived: str = "no",
) -> VersionQuerySet:
    """The versions of every model the actor sees, by the same filters; `tag` and the words are the version's own."""
    seen: QuerySet[Version] = visible(actor, Version.objects.all(), team="model__team")
    held = _archived(_holding(seen, "remark__words", search), "model__archived_at", archived)
    rows = cast(VersionQuerySet, held)
    filters = {"model__name": model, "model__team__name": team, "model__owner__username": owner, "aliases__name": alias}
    rows = rows.filter(**{name: value for name, value in filters.items() if value})
    if risk_tier:
        rows = rows.filter(model__risk_tier=known("risk_tier", risk_tier, RiskTier.values))
    if task_type:
        rows = rows.filter(model__task_type=known("task_type", task_type, TaskType.values))
    if stage:
        known("stage", stage, Stage.values)
        rows = rows.filter(intervals__ended_at=None, intervals__stage=stage)
    if deprecated is not None:
        rows = rows.filter(remark__deprecated_at__isnull=not deprecated)
    for key, value in tags_asked(tag):
        rows = rows.filter(pk__in=_tagged(VersionTag.objects.all(), key, value).values("version"))
    return rows


def model_facets(rows: QuerySet[RegisteredModel]) -> list[Facet]:
    """Of all that was found, in one statement."""
    open_intervals = StageInterval.objects.open().filter(model__in=rows)
    tags = ModelTag.objects.filter(model__in=rows)
    parts = [
        *(_counts(rows, name, path) for name, path in _MODEL_FACETS.items()),
        _counts(open_intervals, "stage", "stage", of="model"),
        _counts(tags, "tag", None),
    ]
    return _facets(parts)


def version_facets(rows: VersionQuerySet) -> list[Facet]:
    open_intervals = StageInterval.objects.open().filter(version__in=rows)
    tags = VersionTag.objects.filter(version__in=rows)
    parts = [
        _counts(rows, "model", "model__name"),
        *(_counts(rows, name, f"model__{path}") for name, path in _MODEL_FACETS.items()),
        _counts(open_intervals, "stage", "stage"),
        _counts(tags, "tag", None),
    ]
    return _facets(parts)


_MODEL_FACETS = {"team": "team__name", "risk_tier": "risk_tier", "owner": "owner__username", "task_type": "task_type"}


def _counts(rows: QuerySet[Any], facet: str, path: str | None, *, of: str = "pk") -> QuerySet[Any, Any]:
    """Rows of (facet, value, count); without a path the value is a tag's key=value."""
    value = Concat("key", Value("="), "value", output_field=CharField()) if path is None else F(path)
    told = rows.order_by().annotate(
        facet=Value(facet, output_field=CharField()), told=Cast(value, CharField(max_length=2200))
    )
    counted: QuerySet[Any, Any] = told.values_list("facet", "told").annotate(n=Count(of, distinct=of != "pk"))
    return counted


def _facets(parts: Iterable[QuerySet[Any, Any]]) -> list[Facet]:
    first, *others = parts
    counted: dict[str, list[tuple[str, int]]] = {}
    for facet, value, count in first.union(*others, all=True):
        counted.setdefault(facet, []).append((value, count))
    return [Facet(name, sorted(rows, key=lambda row: (-row[1], row[0]))[:MAX_FACET]) for name, rows in counted.items()]


def _holding(rows: QuerySet[M], field: str, search: str) -> QuerySet[M]:
    """Every word somewhere in the field, whatever its case; `tags.key = 'value'` of MLflow's syntax is one word."""
    for word in _words(search):
        rows = rows.filter(**{f"{field}__contains": word})
    return rows


def _words(search: str) -> list[str]:
    told = [f"{m['key']}={m['value']}" if (m := _MLFLOW.match(part.strip())) else part for part in _parts(search)]
    words = [told_word.lower() for part, told_word in zip(_parts(search), told, strict=True) if part.strip()]
    split = [w for word in words for w in ([word] if "=" in word else word.split())]
    if len(split) > MAX_WORDS:
        message = f"search must be at most {MAX_WORDS} words but has {len(split)}"
        raise Invalid.on("search", message, code="too_many_words")
    return split


def _parts(search: str) -> list[str]:
    return re.split(r"\s+and\s+", search.strip(), flags=re.IGNORECASE)


def tags_asked(tag: str | Sequence[str]) -> list[tuple[str, str | None]]:
    """Key and value of each filter; a key alone is any value.

    >>> tags_asked(["site=6", "reviewed"])
    [('site', '6'), ('reviewed', None)]
    """
    asked = [tag] if isinstance(tag, str) else tag
    pairs = [one.partition("=") for one in asked if one]
    return [(key, value if equals else None) for key, equals, value in pairs]


def _tagged(rows: QuerySet[M], key: str, value: str | None) -> QuerySet[M]:
    rows = rows.filter(key=key)
    return rows if value is None else rows.filter(value=value)


def _archived(rows: QuerySet[M], field: str, archived: str) -> QuerySet[M]:
    known("archived", archived, ARCHIVED)
    return rows if archived == "all" else rows.filter(**{f"{field}__isnull": archived == "no"})


def known(field: str, value: str, values: Sequence[str]) -> str:
    if value not in values:
        message = f"{field} must be one of {', '.join(values)} but got {value[:80]!r}"
        raise Invalid.on(field, message, code=f"unknown_{field}")
    return value


class Paged(Generic[L]):
    """Rows for a paginator: one statement finds the keys of a page and counts all, then `read` reads that page. An
    engine that sorts ten thousand whole rows to show fifty takes a hundred times as long as one that sorts keys."""

    def __init__(self, rows: QuerySet[Any], read: Callable[[list[int]], list[L]] | None = None) -> None:
        self.rows, self._read = rows, read or self._whole
        self._count: int | None = None
        self._reached: tuple[int, int, list[int]] = (0, 0, [])  # the keys from one place to another

    def reach(self, first: int, last: int) -> None:
        """Find a page before it is known that there is one: see core.api.pagination."""
        found = list(self.rows.values_list("pk", Window(Count("*")))[first:last])
        self._reached = first, last, [key for key, _ in found]
        if found:
            self._count = found[0][1]

    def count(self) -> int:
        if self._count is None:
            self._count = self.rows.count()
        return self._count

    def __len__(self) -> int:
        return self.count()

    def __getitem__(self, part: slice) -> list[L]:
        first, last = part.start, part.stop
        if first != self._reached[0] or last > self._reached[1]:
            self.reach(first, last)
        return self._read(self._reached[2][: last - first])

    def _whole(self, keys: list[int]) -> list[L]:
        return list(self.rows.filter(pk__in=keys))


def tags_of(row: RegisteredModel | Version) -> dict[str, str]:
    """As they are now; no query of a model, nor of a version that was read with its remark."""
    if isinstance(row, RegisteredModel):
        return dict(row.tags)
    remark = getattr(row, "remark", None)
    return dict(row.tags if remark is None else remark.tags)
