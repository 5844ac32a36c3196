"""Many predictions at once, by hand: of ten thousand rows the ORM's way through instances and fields takes longer than
the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from monitoring.models import Prediction

Columns = Mapping[str, Sequence[Any]]


def insert_columns(columns: Columns) -> None:
    """Predictions by their columns, all of one length, passing over those whose names are taken. JSON is given as text,
    an id as a UUID or its text."""
    if connection.vendor == "postgresql":
        _insert_arrays(columns)
    else:
        _insert_prepared(columns)


def _insert_arrays(columns: Columns) -> None:
    """One statement with an array a column: a parameter for each value takes driver and parser longer."""
    sent = [f"%s::{_element(name)}[]" for name in columns]
    rows = f"SELECT * FROM unnest({', '.join(sent)})"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(_sql(columns, rows), [_array(values) for values in columns.values()])


def _element(name: str) -> str:
    """A column's type; of a text without its length, for a cast to `varchar(128)[]` cuts without a word."""
    found = next(field.db_type(connection) for field in Prediction._meta.fields if field.column == name)
    return "text" if found is None or found.startswith("varchar") else found


def _array(values: Sequence[Any]) -> str:
    """As PostgreSQL writes an array."""
    return f"{{{','.join(map(_written, values))}}}"


def _written(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f'"{value.isoformat()}"' if isinstance(value, datetime) else str(value)


def _insert_prepared(columns: Columns) -> None:
    """The same statement for each row, which SQLite reads once."""
    adapted = {name: _adapted(list(each)) for name, each in columns.items()}
    adapted["id"] = [str(each).replace("-", "") for each in columns["id"]]
    sql = _sql(columns, f"VALUES ({', '.join(['%s'] * len(columns))})")
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(zip(*adapted.values(), strict=True)))


def _sql(columns: Columns, rows: str) -> str:
    return f"INSERT INTO {Prediction._meta.db_table} ({', '.join(columns)}) {rows} ON CONFLICT DO NOTHING"


def _adapted(values: list[Any]) -> list[Any]:
    """Times as SQLite keeps them; a column has times or none."""
    if not isinstance(values[0], datetime):
        return values
    adapt = connection.ops.adapt_datetimefield_value
    written = {value: adapt(value) for value in set(values)}
    return [written[value] for value in values]
