"""The schema of a table as JSON, and where a later table departs from it (by pandera)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandas.api import types
from pandera.errors import SchemaErrors

MAX_LEVELS = 100
_SHOWN = 5


@dataclass(frozen=True)
class Departure:
    """One rule that a column breaks: missing, extra, kind, nulls, range or levels; rows count from 1."""

    rule: str
    column: str
    message: str
    where: tuple[int, ...] = ()


def infer_schema(
    frame: pd.DataFrame, *, target: str, time_column: str | None = None, group_column: str | None = None
) -> dict[str, Any]:
    """Describe a canonical frame of n rows, ready for JSON, one entry a column in its order.

    `{"rows", "target", "time_column", "group_column", "columns": [{"name", "kind", "integer", "null_share",
    "distinct", "min", "max", "levels"}]}`; levels of a category are left out (None) beyond 100.
    """
    return {
        "rows": len(frame),
        "target": target,
        "time_column": time_column,
        "group_column": group_column,
        "columns": [_described(str(name), frame[name]) for name in frame.columns],
    }


def departures(frame: pd.DataFrame, schema: dict[str, Any]) -> list[Departure]:
    """Every rule of the schema that the frame breaks, with the first rows that break it."""
    columns = {entry["name"]: entry for entry in schema["columns"]}
    found = list(_shape(frame, columns))
    sound = {name: entry for name, entry in columns.items() if name in frame and _kind(frame[name]) == entry["kind"]}
    rules = {name: _rules(entry) for name, entry in sound.items()}
    try:
        pa.DataFrameSchema(rules).validate(frame.reset_index(drop=True), lazy=True)
    except SchemaErrors as problem:
        found += _failures(problem.failure_cases, sound, len(frame))
    return found


def _described(name: str, column: "pd.Series[Any]") -> dict[str, Any]:
    known, kind = column.dropna(), _kind(column)
    number = kind == "number" and len(known) > 0
    distinct = int(known.nunique())
    return {
        "name": name,
        "kind": kind,
        "integer": bool(number and (known == known.round()).all()),
        "null_share": float(column.isna().mean()) if len(column) else 0.0,
        "distinct": distinct,
        "min": known.min().item() if number else None,
        "max": known.max().item() if number else None,
        "levels": sorted(known.unique().tolist()) if kind == "category" and distinct <= MAX_LEVELS else None,
    }


def _kind(column: "pd.Series[Any]") -> str:
    return "number" if types.is_numeric_dtype(column) else "category"


def _shape(frame: pd.DataFrame, columns: dict[str, Any]) -> Iterator[Departure]:
    for name, entry in columns.items():
        if name not in frame:
            yield Departure("missing", name, f"Column {name!r} must be in the table but is not.")
        elif (kind := _kind(frame[name])) != entry["kind"]:
            message = f"Column {name!r} must be a {entry['kind']} but is a {kind}."
            yield Departure("kind", name, message, _first_text(frame[name]) if kind == "category" else ())
    for name in frame.columns:
        if name not in columns:
            yield Departure("extra", str(name), f"Column {name!r} is not in the schema.")


def _first_text(column: "pd.Series[Any]") -> tuple[int, ...]:
    """Rows whose text is what keeps a column from being numbers."""
    odd = column.notna() & pd.to_numeric(column, errors="coerce").isna()
    return tuple(int(at) + 1 for at in odd.to_numpy().nonzero()[0][:_SHOWN])


def _rules(entry: dict[str, Any]) -> pa.Column:
    checks = []
    if entry["min"] is not None:
        checks.append(pa.Check.in_range(entry["min"], entry["max"], name="range"))
    if entry["levels"] is not None:
        checks.append(pa.Check.isin(entry["levels"], name="levels"))
    return pa.Column(None, checks, nullable=entry["null_share"] > 0)


def _failures(cases: pd.DataFrame, columns: dict[str, Any], rows: int) -> Iterator[Departure]:
    for (name, check), part in cases.groupby(["column", "check"], sort=False):
        rule = "nulls" if check == "not_nullable" else "range" if str(check).startswith("in_range") else "levels"
        where = tuple(int(at) + 1 for at in part["index"].head(_SHOWN))
        message = f"Column {name!r} {_told(rule, columns[str(name)], part)} in {len(part):,} of {rows:,} rows."
        yield Departure(rule, str(name), message, where)


def _told(rule: str, entry: dict[str, Any], part: pd.DataFrame) -> str:
    if rule == "nulls":
        return "must not be empty but is"
    values = ", ".join(_written(value) for value in part["failure_case"].unique().tolist()[:3])
    if rule == "range":
        return f"must be between {_written(entry['min'])} and {_written(entry['max'])} but is {values}"
    return f"must be one of its {len(entry['levels'])} known levels but is {values}"


def _written(value: Any) -> str:
    """A number as somebody would type it, text with its quotes."""
    return f"{value:.10g}" if isinstance(value, float) else repr(value)[:40]
