"""Values of feature sets from a data set or a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings

from mlops_site.core import events
from mlops_site.core.errors import FieldError, Invalid, TooLarge
from mlops_site.core.permissions import Action, Actor, require
from mlops_site.core.rows import Refused, Rejection
from training.models import DatasetVersion, FeatureSetVersion
from training.services.feature_values import Said, judged, keep
from training.services.judging import refused
from training.services.quality import frame_of

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 200_000  # of a data set that is loaded, or of labels, in one request
CHUNK = 2_000
SHOWN = 100  # rejections that are told


class Loaded(NamedTuple):
    """What became of a data set's rows: the three numbers add up to them. The first rejections stand in full."""

    accepted: int
    duplicate: int
    rejected: int
    rejections: list[Rejection]


class Columns(NamedTuple):
    """Which column of a data set is what. Times without a zone are of `zone`; without one they are refused."""

    unit: str
    event_at: str
    ingested_at: str = ""
    values: Mapping[str, str] | None = None  # column of the feature set -> column of the data set; else the same name
    zone: str = ""


class File(NamedTuple):
    """A csv or parquet file at its start; the name only tells which."""

    content: BinaryIO
    name: str


def load_feature_table(
    found: FeatureSetVersion, *, actor: Actor, source: DatasetVersion | File, columns: Columns
) -> Loaded:
    """Keep the rows of a data set or a file as values. Loaded again, they are duplicates.

    They come in pieces, each kept with its load, so that nobody who writes waits long; after a crash the same load goes
    on. The data set may be of another team whose data the actor may download. Raises Invalid naming every column that
    is absent or of another kind, TooLarge, Conflict `data_gone`, Forbidden.
    """
    home = found.feature_set.team
    with events.atomic():
        require(actor, Action.FEATURE_LOAD, home, subject=found.feature_set.subject)
        dataset = source if isinstance(source, DatasetVersion) else None
        if dataset is not None and dataset.dataset.team_id != home.pk:  # its rows leave the team that has them
            require(actor, Action.DATASET_DOWNLOAD, dataset.dataset.team, subject=dataset.dataset.subject)
    sources = {name: (columns.values or {}).get(name, name) for name in found.kinds}
    frame, name, digest = _read(source)
    if errors := list(_faults(found, name, frame, columns, sources)):
        raise Invalid(errors[0].message, code=errors[0].code, errors=errors)
    said, accepted, duplicate = Said(), 0, 0
    rejections: list[Rejection] = []
    for start in range(0, len(frame), CHUNK):
        rows = list(_rows(frame.iloc[start : start + CHUNK], columns, sources))
        told = keep(found, judged(found, rows, said), actor=actor, dataset=dataset, digest=digest)
        accepted += sum(each is True for each in told)
        duplicate += sum(each is False for each in told)
        rejections += [Rejection(start + at, r.code, r.field, r.message) for at, r in _refused(told)]
    loaded = Loaded(accepted, duplicate, len(rejections), rejections[:SHOWN])
    _check_good(loaded)
    with events.atomic():
        data = {"version": found.version, "source": name, "digest": digest, "accepted": accepted}
        data |= {"duplicate": duplicate, "rejected": len(rejections), "ingested_at": columns.ingested_at}
        subject = found.feature_set.subject
        events.record("feature_set.loaded", actor=actor, subject=subject, team=home.name, data=data)
    return loaded


def _refused(told: Sequence[Any]) -> Iterator[tuple[int, Refused]]:
    return ((at, each) for at, each in enumerate(told) if isinstance(each, Refused))


def _check_good(loaded: Loaded) -> None:
    if not loaded.accepted and not loaded.duplicate:
        errors = [FieldError(f"rows[{r.index}].{r.field}".rstrip("."), r.code, r.message) for r in loaded.rejections]
        raise Invalid(f"none of {loaded.rejected} rows was good; see errors", code="no_good_row", errors=errors)


def _read(source: DatasetVersion | File) -> tuple[pd.DataFrame, str, str]:
    """The table, what it is called in messages, and the digest of its bytes."""
    from training.ml import tables

    if isinstance(source, DatasetVersion):
        check_rows(source)
        return frame_of(source), str(source), source.digest
    try:
        limits = {"max_bytes": settings.MAX_UPLOAD_BYTES, "max_rows": MAX_ROWS}
        frame = tables.read_table(source.content, filename=source.name, **limits)
    except tables.TableError as error:
        raise refused(error) from error
    source.content.seek(0)
    return frame, "the file", hashlib.sha256(source.content.read()).hexdigest()


def _faults(
    found: FeatureSetVersion, table: str, frame: pd.DataFrame, columns: Columns, sources: Mapping[str, str]
) -> Iterator[FieldError]:
    roles = {"unit_column": columns.unit, "event_column": columns.event_at, "ingested_column": columns.ingested_at}
    for field, name in roles.items():
        if name not in frame and (name or field != "ingested_column"):
            yield FieldError(field, "unknown_column", f"{field} must be a column of {table} but got {name!r:.80}")
    for name in (columns.values or {}).keys() - found.kinds.keys():
        yield FieldError("columns", "unknown_column", f"columns names {name!r:.80}, which is no column of {found}")
    for name, source in sources.items():
        if source not in frame:
            message = f"{found} needs a column {source!r:.80}, which {table} has not; say in columns which it is"
            yield FieldError("columns", "unknown_column", message)
        elif (kind := _kind(frame[source])) not in (found.kinds[name], "empty"):
            message = f"{name} of {found} is a {found.kinds[name]} but {source} of {table} is a {kind}"
            yield FieldError("columns", "wrong_kind", message)
    yield from zone_faults(columns.zone)


def _kind(column: pd.Series[Any]) -> str:
    from pandas.api import types

    if column.isna().all():
        return "empty"
    return "number" if types.is_numeric_dtype(column) else "category"


def zone_faults(zone: str) -> Iterator[FieldError]:
    if zone and zone not in available_timezones():
        yield FieldError("zone", "unknown_zone", f"zone must be such as UTC or Europe/Paris but got {zone!r:.80}")


def check_rows(dataset: DatasetVersion) -> None:
    if dataset.rows > MAX_ROWS:
        message = f"{dataset} must have at most {MAX_ROWS:,} rows to be used here but has {dataset.rows:,}"
        raise TooLarge.on("dataset", message, code="too_many_rows")


def _rows(frame: pd.DataFrame, columns: Columns, sources: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """As the API would take them."""
    cells = {name: [_cell(value) for value in frame[source].tolist()] for name, source in sources.items()}
    units, times = [unit_of(value) for value in frame[columns.unit].tolist()], frame[columns.event_at].tolist()
    ingested = frame[columns.ingested_at].tolist() if columns.ingested_at else [None] * len(frame)
    for at, unit in enumerate(units):
        row = {"unit_id": unit, "event_at": time_of(times[at], columns.zone)}
        row["values"] = {name: values[at] for name, values in cells.items()}
        if columns.ingested_at:  # one that is empty must not become "now"
            row["ingested_at"] = time_of(ingested[at], columns.zone) or ""
        yield row


def _cell(value: Any) -> Any:
    return None if value is None or value != value else value


def unit_of(value: Any) -> Any:
    """A unit's key as text: a whole number without its point."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else _cell(value) if value != value else repr(value)
    return str(value) if isinstance(value, int) else _cell(value)


def time_of(value: Any, zone: str) -> Any:
    """A cell as a time with its zone, written as RFC 3339 does; what is none is left for whoever judges the row."""
    if not isinstance(value, str) or not zone:
        return _cell(value)
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return value
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(zone))
    return found.isoformat()


def moment_of(value: Any, zone: str) -> datetime | None:
    """The same as a moment in UTC; None for what is no time with a zone."""
    text = time_of(value, zone)
    try:
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):  # the last: at the ends of the calendar
        return None
