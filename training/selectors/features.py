"""Reads of feature sets: definitions, what is known of a unit, and what a version of a model reads when it serves."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, Exists, Max, OuterRef, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from mlops_site.core.errors import FieldError, Malformed, NotFound
from mlops_site.core.permissions import Action, Actor, require, visible
from training.models import DatasetVersion, FeatureLoad, FeatureRow, FeatureSetVersion, FeatureUse
from training.models.features import REFERENCE

Key = tuple[int, str]  # feature set version, unit


class Planned(NamedTuple):
    """A feature set as serving reads it."""

    pk: int
    reference: str  # name@version
    freshness: timedelta | None
    columns: tuple[str, ...]
    personal: frozenset[str]


class State(NamedTuple):
    """How much of a feature set is known, and how fresh it is: `age` is that of the newest event."""

    rows: int
    loads: int
    received_at: datetime | None
    newest_event_at: datetime | None
    age: timedelta | None
    is_stale: bool


class Known(NamedTuple):
    """The latest value of one unit; `is_stale` where its event is older than the set allows."""

    unit_id: str
    event_at: datetime
    ingested_at: datetime
    is_stale: bool
    values: dict[str, Any]


def feature_sets(actor: Actor, *, action: Action = Action.VIEW) -> QuerySet[FeatureSetVersion]:
    """The versions of feature sets that the actor may see (or do `action` to), by name, newest first."""
    rows = FeatureSetVersion.objects.select_related("feature_set__team", "owner", "created_by")
    return visible(actor, rows, team="feature_set__team", action=action).order_by("feature_set__name", "-version")


def newest_feature_sets(actor: Actor) -> QuerySet[FeatureSetVersion]:
    """The newest version of each, with what `state_of` needs of the list."""
    newer = FeatureSetVersion.objects.filter(feature_set=OuterRef("feature_set"), version__gt=OuterRef("version"))
    return feature_sets(actor).filter(~Exists(newer))


def feature_set_named(actor: Actor, reference: object, *, action: Action = Action.VIEW) -> FeatureSetVersion:
    """The version that "name" (the newest) or "name@version" means. With `action`, who may do that need not see it:
    a machine that loads values.

    Raises Malformed for anything else, NotFound for what is absent or another team's.
    """
    match = REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if match is None:
        message = f"a feature set must be name or name@version but got {reference!r:.80}"
        raise Malformed(message, code="malformed", errors=[FieldError("feature_sets", "malformed", message)])
    seen = feature_sets(actor) | feature_sets(actor, action=action)
    rows = seen.filter(feature_set__name=match[1])
    found = rows.filter(version=match[2]).first() if match[2] else rows.first()
    if found is None:
        message = f"there is no feature set {match[0]}; define it first (POST /feature-sets)"
        raise NotFound(message, code="unknown_feature_set", errors=[_unknown(message)])
    return found


def _unknown(message: str) -> FieldError:
    return FieldError("feature_sets", "unknown_feature_set", message)


def states(found: Iterable[FeatureSetVersion], *, now: datetime | None = None) -> dict[int, State]:
    """Feature set version -> its state, by one statement over its loads."""
    now, versions = now or timezone.now(), list(found)
    sums = FeatureLoad.objects.filter(feature_set__in=[each.pk for each in versions]).values("feature_set").order_by()
    said = sums.annotate(
        rows=Coalesce(Sum("accepted"), 0), last=Max("received_at"), newest=Max("newest_event_at"), of=Count("pk")
    )
    known: dict[int, Mapping[str, Any]] = {row["feature_set"]: row for row in said}
    return {each.pk: _state(each, known.get(each.pk), now) for each in versions}


def _state(found: FeatureSetVersion, row: Mapping[str, Any] | None, now: datetime) -> State:
    if row is None:
        return State(0, 0, None, None, None, False)
    age = max(now - row["newest"], timedelta(0))
    is_stale = found.freshness is not None and age > found.freshness
    return State(row["rows"], row["of"], row["last"], row["newest"], age, is_stale)


def uses_of(found: FeatureSetVersion, actor: Actor) -> tuple[list[Any], list[DatasetVersion]]:
    """The versions of models that read it, and the data sets made with it, newest first."""
    rows = found.uses.select_related("version__model", "dataset__dataset").order_by("-pk")
    mine = actor.teams(Action.VIEW)
    of_models = [use.version for use in rows if use.version and use.version.model.team_id in mine]
    return of_models, [use.dataset for use in rows if use.dataset and use.dataset.dataset.team_id in mine]


def loads_of(found: FeatureSetVersion) -> QuerySet[FeatureLoad]:
    """What came in, newest first."""
    return found.loads.select_related("dataset__dataset", "created_by").order_by("-received_at", "-pk")


def latest_rows(sets: Sequence[int], units: Sequence[str], as_of: datetime) -> dict[Key, FeatureRow]:
    """(feature set version, unit) -> the latest value known at `as_of`, by one statement that looks into one index once
    for each pair."""
    if not sets or not units:
        return {}
    rows = FeatureRow.objects.raw(_latest(connection.vendor), [*_lists(sets, units), as_of, as_of])
    return {(row.feature_set_id, row.entity): row for row in rows}


def _lists(*lists: Sequence[Any]) -> list[Any]:
    return [list(each) if connection.vendor == "postgresql" else json.dumps(list(each)) for each in lists]


def _latest(vendor: str) -> str:
    table = connection.ops.quote_name(FeatureRow._meta.db_table)
    sets, units = (
        ("unnest(%s::bigint[]) AS s(value)", "unnest(%s::text[]) AS u(value)")
        if vendor == "postgresql"
        else ("json_each(%s) AS s", "json_each(%s) AS u")
    )
    return f"""SELECT r.* FROM {sets} CROSS JOIN {units} JOIN {table} r ON r.id = (
        SELECT v.id FROM {table} v WHERE v.feature_set_id = s.value AND v.entity = u.value
        AND v.event_at <= %s AND v.ingested_at <= %s
        ORDER BY v.event_at DESC, v.ingested_at DESC LIMIT 1)"""  # noqa: S608


def latest_values(
    found: FeatureSetVersion, *, actor: Actor, units: Sequence[str], as_of: datetime | None = None
) -> list[Known]:
    """What is known of units now, or was at `as_of`, in their order; without the columns of personal data. Raises
    Forbidden for who may not see what claims are made of."""
    require(actor, Action.INPUT_VIEW, found.feature_set.team, subject=found.feature_set.subject)
    as_of = as_of or timezone.now()
    rows = latest_rows([found.pk], list(dict.fromkeys(units)), as_of)
    return [_known(found, row, as_of) for unit in dict.fromkeys(units) if (row := rows.get((found.pk, unit)))]


def _known(found: FeatureSetVersion, row: FeatureRow, as_of: datetime) -> Known:
    shown = {name: value for name, value in row.values.items() if name not in found.personal}
    return Known(row.entity, row.event_at, row.ingested_at, not is_fresh(row, found.freshness, as_of), shown)


def is_fresh(row: FeatureRow, freshness: timedelta | None, as_of: datetime) -> bool:
    return freshness is None or as_of - row.event_at <= freshness


@functools.lru_cache(maxsize=10_000)
def plan_of(version_id: int) -> tuple[Planned, ...]:
    """What a version reads when it serves, kept by each process: it was said when it was registered, for good."""
    uses = FeatureUse.objects.filter(version=version_id).select_related("feature_set__feature_set")
    return tuple(
        Planned(each.pk, str(each), each.freshness, tuple(each.kinds), each.personal)
        for each in (use.feature_set for use in uses.order_by("feature_set__feature_set__name"))
    )


def personal_features(version_id: int) -> frozenset[str]:
    """The features with personal data among those that a version's feature sets have."""
    return frozenset(name for each in plan_of(version_id) for name in each.personal)
