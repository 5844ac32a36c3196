"""Features that are not given, taken from the feature sets that a version of a model reads: of a claim that is asked
about, of one that a silent version scores later, of the rows of a file."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from training.models import FeatureLoad, FeatureRow
from training.selectors.features import Planned, is_fresh

AT_ONCE = 5_000  # units that one statement asks about
Asked = tuple[str, datetime]  # a unit, and when it was asked about


class Taken(NamedTuple):
    """Where the value of one feature was read."""

    planned: Planned
    row: FeatureRow

    def told(self) -> dict[str, str]:
        """What is kept of it, and answered: no value."""
        return {
            "feature_set": self.planned.reference,
            "event_at": self.row.event_at.isoformat(),
            "ingested_at": self.row.ingested_at.isoformat(),
        }


def lacking(given: Container[str], plan: Iterable[Planned], names: Container[str]) -> Iterator[tuple[str, Planned]]:
    """The inputs (of `names`) that are not given and that a feature set of the plan has."""
    for each in plan:
        for name in each.columns:
            if name not in given and name in names:
                yield name, each


def taken(
    wanted: Iterable[tuple[str, Planned]], known: Mapping[int, FeatureRow | None], as_of: datetime
) -> dict[str, Taken]:
    """Input -> what a unit has for it, where that is still fresh; `known` is the unit's latest row of each set."""
    rows = ((name, each, known.get(each.pk)) for name, each in wanted)
    return {
        name: Taken(each, row) for name, each, row in rows if row is not None and is_fresh(row, each.freshness, as_of)
    }


def why_not(planned: Planned, unit: str, row: FeatureRow | None) -> str:
    """Why a set gave a unit nothing, as the end of a sentence."""
    why = "knows nothing of" if row is None else f"has only a stale value, of {row.event_at.isoformat()}, for"
    return f"{planned.reference} {why} {unit!r:.80}"


def rows_then(sets: Sequence[int], asked: Iterable[Asked]) -> dict[tuple[int, Asked], FeatureRow]:
    """(feature set version, what was asked) -> the row that was the latest known one at that time. Values that were
    received later do not count, however early they are said to have been known: so whoever looks again, hours later,
    finds what there was to find. A statement for each 5,000 units."""
    each_once = list(dict.fromkeys(asked))
    found: dict[tuple[int, Asked], FeatureRow] = {}
    for start in range(0, len(each_once) if sets else 0, AT_ONCE):
        part = each_once[start : start + AT_ONCE]
        rows: Iterable[Any] = FeatureRow.objects.raw(_then(connection.vendor), _parameters(sets, part))
        found |= {(row.feature_set_id, part[row.place]): row for row in rows}
    return found


def _parameters(sets: Sequence[int], asked: Sequence[Asked]) -> list[Any]:
    if connection.vendor == "postgresql":
        return [list(sets), [unit for unit, _ in asked], [at for _, at in asked]]
    told = [(unit, str(connection.ops.adapt_datetimefield_value(at))) for unit, at in asked]
    return [json.dumps(list(sets)), json.dumps(told)]


def _then(vendor: str) -> str:
    rows, loads = (connection.ops.quote_name(model._meta.db_table) for model in (FeatureRow, FeatureLoad))
    if vendor == "postgresql":
        place, unit, at = "u.place - 1", "u.unit", "u.at"
        sets = "unnest(%s::bigint[]) AS s(value)"
        asked = "unnest(%s::text[], %s::timestamptz[]) WITH ORDINALITY AS u(unit, at, place)"
    else:
        place, unit, at = "u.key", "json_extract(u.value, '$[0]')", "json_extract(u.value, '$[1]')"
        sets, asked = "json_each(%s) AS s", "json_each(%s) AS u"
    return f"""SELECT r.*, {place} AS place FROM {sets} CROSS JOIN {asked} JOIN {rows} r ON r.id = (
        SELECT v.id FROM {rows} v JOIN {loads} l ON l.id = v.load_id
        WHERE v.feature_set_id = s.value AND v.entity = {unit}
        AND v.event_at <= {at} AND v.ingested_at <= {at} AND l.received_at <= {at}
        ORDER BY v.event_at DESC, v.ingested_at DESC LIMIT 1)"""  # noqa: S608
