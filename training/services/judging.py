"""A file that may become a data set version: read, put through the gate at ingest, made canonical and stored."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from django.conf import settings

from mlops_site.core import events, store
from mlops_site.core.errors import FieldError, Invalid, StewardError, TooLarge
from training.models import DatasetVersion, Expectations
from training.services import large
from training.services.schema import profile_of, schema_of

if TYPE_CHECKING:
    import pandas as pd

    from training.ml.quality import QualityReport
    from training.ml.refusals import TableError

_CHUNK_BYTES = 1 << 20
_EXTRA = {"extra_columns": {"severity": "warn"}}
_TOO_LARGE = {"too_large", "too_many_rows", "too_many_columns", "too_many_cells"}
_FIELDS = {
    **dict.fromkeys(("target_column", "target_missing", "target_kind", "constant_target", "classes"), "target"),
    **dict.fromkeys(("time_column", "time_order"), "time_column"),
    **dict.fromkeys(("group_column", "group_missing"), "group_column"),
}


@dataclass(frozen=True)
class Declaration:
    """What the columns mean. It is part of what makes two uploads the same version."""

    target: str
    time_column: str = ""
    group_column: str = ""
    pii: tuple[str, ...] = ()


class Stored(NamedTuple):
    """What is kept of a file; its quality says whether it may be trained on."""

    digest: str
    rows: int
    schema: dict[str, Any]
    quality: dict[str, Any]
    counts: bytes  # of its profile
    personal: list[dict[str, str]]  # columns that look like personal data


def stored(source: BinaryIO, filename: str, name: str, declared: Declaration, *, keeps_useless: bool = False) -> Stored:
    """Judge and store a file for the named data set; Invalid with every reason against it, TooLarge. `keeps_useless`:
    also what nothing can be trained on, for people to see why."""
    from training.ml import quality, tables

    number, expected = _expected(name, declared)
    try:
        if large.is_large(source, filename):
            return _in_parts(source, name, declared, number, expected)
        frame = tables.read_table(source, filename=filename, max_bytes=settings.MAX_UPLOAD_BYTES)
    except tables.TableError as error:
        raise refused(error) from error
    report = quality.check(frame, target=declared.target, **_roles(declared), expected=expected, private=declared.pii)
    if not keeps_useless:
        _pass(report, list(frame.columns), declared)
    return _in_one_piece(frame, name, declared, {**report.to_json(), "expectations": number})


def _in_one_piece(frame: pd.DataFrame, name: str, declared: Declaration, said: dict[str, Any]) -> Stored:
    from training.ml import tables

    schema = schema_of(frame, declared.target, **_roles(declared))
    kept = store.put(tables.to_parquet(frame), max_bytes=8 * settings.MAX_UPLOAD_BYTES)
    return Stored(kept.digest, len(frame), schema, said, *profile_of(frame, salt=name))


def _in_parts(
    source: BinaryIO, name: str, declared: Declaration, number: int | None, expected: dict[str, Any] | None
) -> Stored:
    """The same of a csv that is too long for one frame."""
    asked: dict[str, Any] = {"target": declared.target, **_roles(declared)}
    with large.opened(source, name=name, expected=expected, private=declared.pii, **asked) as table:
        _pass(table.report, table.columns, declared)
        said = {**table.report.to_json(), "expectations": number}
        return Stored(table.kept(), table.rows, table.schema, said, table.counts, table.personal)


def _roles(declared: Declaration) -> dict[str, Any]:
    return {"time_column": declared.time_column or None, "group_column": declared.group_column or None}


def _pass(report: QualityReport, columns: list[str], declared: Declaration) -> None:
    """Raise Invalid with every reason against a table that nothing can be trained on."""
    from training.ml.findings import NEVER_WAIVED

    unknown = [column for column in declared.pii if column not in columns]
    errors = [FieldError("pii", "unknown_column", f"pii names {column!r}, which is no column") for column in unknown]
    fatal = [check for check in report.blocks if check.name in NEVER_WAIVED]
    errors += [FieldError(_field(check.name), check.name, check.message) for check in fatal]
    if errors:
        raise Invalid(errors[0].message, code=errors[0].code, errors=errors)


def _expected(name: str, declared: Declaration) -> tuple[int | None, dict[str, Any] | None]:
    """What is expected of the data set; where nobody has said so, that it looks like the newest version of the same
    target that passed its own gate."""
    from training.ml import expectations

    newest = Expectations.objects.filter(dataset__name=name).first()
    if newest is not None:
        return newest.version, newest.document
    rows = DatasetVersion.objects.filter(dataset__name=name, target=declared.target, quality__passed=True)
    schema = rows.order_by("-version").values_list("schema", flat=True).first()
    return None, None if schema is None else {"columns": expectations.inferred(schema)["columns"], **_EXTRA}


def _field(check: str) -> str:
    """The field of the request that a check of the gate is about."""
    return _FIELDS.get(check, "file")


def refused(error: TableError) -> StewardError:
    """The refusal of a table: one kind for whatever is wrong with it, but for its size."""
    errors = [
        FieldError("file" if problem.field == "file" else f"file.{problem.field}", problem.code, problem.message)
        for problem in error.problems
    ]
    kind = TooLarge if error.code in _TOO_LARGE else Invalid
    return kind(error.message, code=error.code, errors=errors)


def digest_of(source: BinaryIO, filename: str, declared: Declaration) -> str:
    """sha256 of the bytes, what kind of file they are and what was declared; the source is read in pieces."""
    limit, size, sha = settings.MAX_UPLOAD_BYTES, 0, hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        sha.update(chunk)
    source.seek(0)
    suffix = filename.lower().rpartition(".")[2]
    return events.digest_of({"bytes": sha.hexdigest(), "kind": suffix, **asdict(declared)})


def too_large(limit: int) -> TooLarge:
    message = f"the file must be at most {limit:,} bytes but has more"
    return TooLarge(message, errors=[FieldError("file", "too_large", message)])
