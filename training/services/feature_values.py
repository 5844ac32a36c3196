"""Values of feature sets as they come in: each row judged by itself, kept once, corrected by a later row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.cuts import stamp
from mlops_site.core.permissions import Action, Actor, person, require
from mlops_site.core.rows import Ingested, Refused, attempt, check_count, check_object, moment, shown, text
from registry.artifacts.rows import judge
from registry.artifacts.signature import Input
from training.models import DatasetVersion, FeatureLoad, FeatureRow, FeatureSet, FeatureSetVersion

CHUNK = 1_000  # rows a statement
TICK = timedelta(microseconds=1)
FIELDS = frozenset({"unit_id", "event_at", "ingested_at", "values"})
Moment = tuple[str, datetime]  # unit, event time


class Draft(NamedTuple):
    """A good row. `ingested_at` is None where it is when we take it in."""

    moment: Moment
    ingested_at: datetime | None
    values: dict[str, Any]


Said = dict[tuple[Moment, datetime | None], dict[str, Any]]  # what one load says, to find two rows that contradict


def load_feature_values(found: FeatureSetVersion, *, actor: Actor, rows: Sequence[Any]) -> Ingested:
    """Keep up to 10,000 rows {"unit_id", "event_at", "values", "ingested_at"?}, each with a value (or null) for every
    column. A row that says what is known already is a duplicate; another value for the same unit and time is a
    correction. A row may be the StewardError of a parser that could not read it.

    `ingested_at` is when the source knew the value, for history that is loaded later; left out, it is now. Raises
    TooLarge for more rows, Invalid `no_good_row` where none is good, Forbidden.
    """
    with events.atomic():
        require(actor, Action.FEATURE_LOAD, found.feature_set.team, subject=found.feature_set.subject)
    check_count(rows)
    outcomes = judged(found, rows, {})
    return Ingested.of(keep(found, outcomes, actor=actor), lambda is_new: not is_new)


def judged(found: FeatureSetVersion, rows: Sequence[Any], said: Said) -> list[Draft | Refused]:
    """Each row as a draft, or why it is refused; `said` collects what the load has said so far."""
    inputs = [Input(name, kind, nullable=True, open=True) for name, kind in found.kinds.items()]  # type: ignore[arg-type]
    now = timezone.now()
    return [attempt(_draft, row, inputs, said, now) for row in rows]


def _draft(row: Any, inputs: Sequence[Input], said: Said, now: datetime) -> Draft:
    check_object(row, FIELDS)
    unit = text(row, "unit_id", required=True)
    if row.get("event_at") is None:
        raise Refused("required", "event_at", "event_at must be given: when the values held")
    event_at = moment(row, "event_at", now)
    ingested_at = None if row.get("ingested_at") is None else moment(row, "ingested_at", now)
    draft = Draft((unit, event_at), ingested_at, _values(row.get("values"), inputs))
    if said.setdefault((draft.moment, ingested_at), draft.values) != draft.values:
        message = f"{unit!r} has another value at {event_at.isoformat()} in the same load; give one of them"
        raise Refused("conflicting_rows", "values", message)
    return draft


def _values(given: Any, inputs: Sequence[Input]) -> dict[str, Any]:
    if type(given) is not dict:
        raise Refused("wrong_type", "values", f"values must be an object by column but got {shown(given)}")
    for name in given.keys() - {column.name for column in inputs}:
        message = f"values.{name[:80]} is no column of the feature set"
        raise Refused("unknown_column", f"values.{name[:80]}", message)
    return {column.name: _value(column, given) for column in inputs}


def _value(column: Input, given: Mapping[str, Any]) -> Any:
    field = f"values.{column.name}"
    if column.name not in given:
        raise Refused("missing_column", field, f"{field} must be given, or be null where it is not known")
    value = given[column.name]
    _, fault = judge(column, value)
    if fault is not None:
        raise Refused(fault[0], field, f"{field} {fault[1]}")
    if value == "" or value is None:
        return None
    return int(value) if isinstance(value, bool) else value


def keep(
    found: FeatureSetVersion,
    outcomes: Sequence[Draft | Refused],
    *,
    actor: Actor,
    dataset: DatasetVersion | None = None,
    digest: str = "",
) -> list[bool | Refused]:
    """Whether each good row is new, once what is new is kept with its load, all or nothing. Loads of one set follow
    each other, so that a correction is later than what it corrects."""
    with events.atomic():
        FeatureSet.objects.select_for_update(no_key=True).get(pk=found.feature_set_id)
        at = stamp([cut_of(found)])
        known = _known(found, [draft for draft in outcomes if isinstance(draft, Draft)])
        fresh: list[tuple[Draft, datetime]] = []
        told = [draft if isinstance(draft, Refused) else _told(draft, known, at, fresh) for draft in outcomes]
        if fresh:
            load = FeatureLoad.objects.create(
                feature_set=found,
                received_at=at,
                accepted=len(fresh),
                duplicate=sum(each is False for each in told),
                rejected=sum(isinstance(each, Refused) for each in told),
                newest_event_at=max(draft.moment[1] for draft, _ in fresh),
                dataset=dataset,
                digest=digest,
                created_by=person(actor),
            )
            FeatureRow.objects.bulk_create(
                (
                    FeatureRow(
                        feature_set=found,
                        entity=draft.moment[0],
                        event_at=draft.moment[1],
                        ingested_at=ingested_at,
                        values=draft.values,
                        load=load,
                    )
                    for draft, ingested_at in fresh
                ),
                batch_size=CHUNK,
            )
    return told


def cut_of(found: FeatureSetVersion) -> str:
    """What a reader takes a cut of (see core.cuts) to know that no load up to it is still being written."""
    return f"feature_set:{found.feature_set_id}"


def _told(
    draft: Draft, known: dict[Moment, dict[datetime, Any]], at: datetime, fresh: list[tuple[Draft, datetime]]
) -> bool | Refused:
    """Whether the row is new. What was said with a time of its own repeats the row of that time; else the newest."""
    revisions = known.setdefault(draft.moment, {})
    newest = max(revisions, default=None)
    if draft.ingested_at is None:
        if newest is not None and revisions[newest] == draft.values:
            return False
        ingested_at = at if newest is None else max(at, newest + TICK)
    else:
        ingested_at = draft.ingested_at
        if ingested_at in revisions and revisions[ingested_at] == draft.values:
            return False
        if ingested_at in revisions:
            message = f"another value was ingested at {ingested_at.isoformat()}; a correction has a later ingested_at"
            return Refused("conflicting_rows", "ingested_at", message)
    revisions[ingested_at] = draft.values
    fresh.append((draft, ingested_at))
    return True


def _known(found: FeatureSetVersion, drafts: Sequence[Draft]) -> dict[Moment, dict[datetime, Any]]:
    """(unit, event time) -> the values kept of it, by the time when they were ingested."""
    known: dict[Moment, dict[datetime, Any]] = {}
    for start in range(0, len(drafts), CHUNK):
        for entity, event_at, ingested_at, values in _kept(found, drafts[start : start + CHUNK]):
            known.setdefault((entity, event_at), {})[ingested_at] = values
    return known


def _kept(found: FeatureSetVersion, drafts: Sequence[Draft]) -> QuerySet[FeatureRow, tuple[Any, ...]]:
    among = {"entity__in": {draft.moment[0] for draft in drafts}, "event_at__in": {draft.moment[1] for draft in drafts}}
    rows = FeatureRow.objects.filter(feature_set=found, **among)
    return rows.values_list("entity", "event_at", "ingested_at", "values")
