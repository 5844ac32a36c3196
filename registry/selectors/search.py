"""Models and versions by words and by what they are: the filters, and how many there are of each kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from django.db.models import CharField, Count, F, Model, QuerySet, Value
from django.db.models.functions import Cast, Concat

from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action, Actor, visible
from registry.choices import RiskTier, Stage, TaskType
from registry.models import ModelTag, RegisteredModel, StageInterval, Version, VersionTag
from registry.models.version import VersionQuerySet
from registry.selectors.paged import Conditions, matching

M = TypeVar("M", bound=Model)
MAX_WORDS = 10
MAX_FACET = 20  # values of a facet, the most frequent ones
ARCHIVED = ("no", "yes", "all")
_MLFLOW = re.compile(r"""^tags\.[`"]?(?P<key>[A-Za-z0-9_.-]+)[`"]?\s*=\s*['"]?(?P<value>[^'"]*)['"]?$""")


class Facet(NamedTuple):
    """How many of what was found have each value, the most frequent first."""

    name: str
    values: list[tuple[str, int]]


def found_models(actor: Actor, **filters: Any) -> QuerySet[RegisteredModel]:
    """The models that meet `model_conditions`."""
    return matching(RegisteredModel.objects.all(), model_conditions(actor, **filters))


def model_conditions(
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
) -> Conditions:
    """What holds of the models the actor sees that hold every word and fit every filter. Archived ones are left out
    unless asked for: `archived` is no, yes (only those) or all."""
    found: Conditions = [("team__among", actor.teams(Action.VIEW)), *_holding("words", search)]
    found += _archived("archived_at", archived)
    found += [(path, value) for path, value in (("team__name", team), ("owner__username", owner)) if value]
    if risk_tier:
        found.append(("risk_tier", known("risk_tier", risk_tier, RiskTier.values)))
    if task_type:
        found.append(("task_type", known("task_type", task_type, TaskType.values)))
    if stage:
        known("stage", stage, Stage.values)
        found.append(("pk__in", StageInterval.objects.open().filter(stage=stage).values("model")))
    return found + [("pk__in", _tagged(ModelTag.objects.all(), *one).values("model")) for one in tags_asked(tag)]


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
    held = [*_holding("remark__words", search), *_archived("model__archived_at", archived)]
    rows = cast(VersionQuerySet, matching(visible(actor, Version.objects.all(), team="model__team"), held))
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


def _holding(field: str, search: str) -> Conditions:
    """Every word somewhere in the field, whatever its case; `tags.key = 'value'` of MLflow's syntax is one word."""
    return [(f"{field}__contains", word) for word in _words(search)]


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


def _archived(field: str, archived: str) -> Conditions:
    known("archived", archived, ARCHIVED)
    return [] if archived == "all" else [(f"{field}__isnull", archived == "no")]


def known(field: str, value: str, values: Sequence[str]) -> str:
    if value not in values:
        message = f"{field} must be one of {', '.join(values)} but got {value[:80]!r}"
        raise Invalid.on(field, message, code=f"unknown_{field}")
    return value


def tags_of(row: RegisteredModel | Version) -> dict[str, str]:
    """As they are now; no query of a model, nor of a version that was read with its remark."""
    if isinstance(row, RegisteredModel):
        return dict(row.tags)
    remark = getattr(row, "remark", None)
    return dict(row.tags if remark is None else remark.tags)
