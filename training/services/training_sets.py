"""Training sets: labels joined with what was known of each unit at the label's time, as a version of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.cuts import cut
from mlops_site.core.errors import FieldError, Invalid
from mlops_site.core.permissions import Action, Actor, require
from training.models import DatasetVersion, FeatureSetVersion
from training.selectors.feature_frames import values_frame
from training.services.datasets import keep_dataset, parquet_of, prepare_dataset
from training.services.feature_tables import check_rows, moment_of, unit_of, zone_faults
from training.services.feature_uses import keep_dataset_uses, sets_named
from training.services.feature_values import cut_of
from training.services.judging import Declaration
from training.services.quality import frame_of

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5


class Labels(NamedTuple):
    """The data set that says which unit is asked about at which time. A time without a zone is of `zone`."""

    dataset: DatasetVersion
    unit_column: str
    time_column: str
    zone: str = ""


class _Asked(NamedTuple):
    units: list[str]
    times: list[datetime]


def build_training_set(
    *, actor: Actor, name: str, labels: Labels, feature_sets: Sequence[str], cutoff: datetime | None = None
) -> DatasetVersion:
    """The labels with a column for each feature, as the next version of the data set `name`.

    Of each feature a row gets the value that was known at its time: event time and ingestion time both at or before it,
    the latest of those; none where that is stale. Values that were received after `cutoff` (now, if left out) are not
    looked at, so that the same request with its cutoff makes the same data set again. Target, group and time column
    and what is personal are those of the labels; personal features are added.

    Raises Invalid (a column that is absent or of both sides, a time without a zone, with the first rows), NotFound,
    TooLarge, Conflict `data_gone`, Forbidden.
    """
    source = labels.dataset
    with events.atomic():
        require(actor, Action.DATASET_CREATE, source.dataset.team, subject=source.dataset.subject)
    found = _sets(feature_sets, source)
    _check_columns(labels, found)
    check_rows(source)
    until = _cutoff(found, cutoff)
    frame = frame_of(source)
    asked = _asked(frame, labels)
    for each in found:
        frame = _with(frame, each, asked, until)
    personal = {column for each in found for column in each.personal}
    declared = Declaration(
        source.target, source.time_column, source.group_column, tuple(sorted({*source.pii, *personal}))
    )
    ready = prepare_dataset(
        actor=actor,
        name=name,
        source=parquet_of(frame),
        filename="training_set.parquet",
        declared=declared,
        team=source.dataset.team.name,
    )
    with events.atomic():
        made = (
            ready
            if isinstance(ready, DatasetVersion)
            else keep_dataset(ready, actor=actor, lineage=_lineage(labels, found, until))
        )
        keep_dataset_uses(made, found)
    return made


def _lineage(labels: Labels, found: Sequence[FeatureSetVersion], until: datetime) -> dict[str, Any]:
    return {
        "source": "feature_sets",
        "feature_sets": [str(each) for each in found],
        "labels_of": str(labels.dataset),
        "labels_digest": labels.dataset.digest,
        "unit_column": labels.unit_column,
        "label_time_column": labels.time_column,
        "zone": labels.zone,
        "cutoff": until.isoformat(),
    }


def _sets(references: Sequence[str], source: DatasetVersion) -> list[FeatureSetVersion]:
    found = sets_named(references, source.dataset.team)
    if not found:
        raise Invalid.on("feature_sets", "feature_sets must name at least one", code="required")
    return found


def _check_columns(labels: Labels, found: Sequence[FeatureSetVersion]) -> None:
    columns = {column["name"]: str(labels.dataset) for column in labels.dataset.schema["columns"]}
    errors = [
        FieldError(field, "unknown_column", f"{field} must be a column of {labels.dataset} but got {name!r:.80}")
        for field, name in (("unit_column", labels.unit_column), ("time_column", labels.time_column))
        if name not in columns
    ]
    errors += zone_faults(labels.zone)
    for each in found:
        for name in each.kinds:
            if name in columns:
                message = f"a column may come from one side only but {columns[name]} and {each} both have {name}"
                errors.append(FieldError("feature_sets", "ambiguous_feature", message))
            columns[name] = str(each)
    if errors:
        raise Invalid(errors[0].message, code=errors[0].code, errors=errors)


def _cutoff(found: Sequence[FeatureSetVersion], asked: datetime | None) -> datetime:
    """A time up to which no load of these sets is still being written; the one asked for, where that is before it."""
    now = min(cut(cut_of(each)) for each in found)
    if asked is not None and asked > timezone.now():
        message = f"cutoff must not be in the future but got {asked.isoformat()}"
        raise Invalid.on("cutoff", message, code="in_future")
    return now if asked is None else asked


def _asked(frame: pd.DataFrame, labels: Labels) -> _Asked:
    units = [unit_of(value) for value in frame[labels.unit_column].tolist()]
    times = [moment_of(value, labels.zone) for value in frame[labels.time_column].tolist()]
    if wrong := list(_wrong(units, times, labels)):
        raise Invalid(wrong[0].message, code=wrong[0].code, errors=wrong)
    return _Asked(units, [time for time in times if time is not None])


def _wrong(units: Sequence[Any], times: Sequence[datetime | None], labels: Labels) -> Iterator[FieldError]:
    no_unit = [at + 1 for at, unit in enumerate(units) if not isinstance(unit, str) or not unit]
    no_time = [at + 1 for at, time in enumerate(times) if time is None]
    if no_unit:
        message = f"unit_column {labels.unit_column} is empty in {len(no_unit):,} rows, the first: {no_unit[:SHOWN]}"
        yield FieldError("unit_column", "empty_unit", message)
    if no_time:
        message = (
            f"time_column {labels.time_column} must hold times with their zone, such as 2026-11-24T09:30:00Z, or zone "
            f"must be given, but {len(no_time):,} rows have none, the first: {no_time[:SHOWN]}"
        )
        yield FieldError("time_column", "bad_time", message)


def _with(frame: pd.DataFrame, found: FeatureSetVersion, asked: _Asked, until: datetime) -> pd.DataFrame:
    """The labels with the columns of one feature set."""
    import pandas as pd

    from training.ml.point_in_time import INSTANT, latest

    latest_asked = max(asked.times)
    values = values_frame(found, list(dict.fromkeys(asked.units)), until=latest_asked, received_until=until)
    questions = pd.DataFrame({"entity": asked.units, "at": pd.Series(asked.times).astype(INSTANT)})
    positions = latest(questions, values, freshness=found.freshness)
    for name in found.kinds:
        frame[name] = values[f"values.{name}"].reindex(positions).to_numpy()  # no row has the position of none
    return frame
