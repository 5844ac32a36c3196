"""Many predictions at once, by hand: of ten thousand rows the ORM's way through instances and fields takes longer than
the database."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from monitoring.models import Prediction

Columns = Mapping[str, Sequence[Any]]

FEW = 20  # rows up to which one statement is quicker than COPY and a merge
_TABLE = Prediction._meta.db_table
_STAGED = "monitoring_staged"
_STAGE = f"""CREATE TEMP TABLE IF NOT EXISTS {_STAGED} ON COMMIT DELETE ROWS
    AS SELECT * FROM {_TABLE} WITH NO DATA"""  # noqa: S608
# No text or JSON holds it: such characters are refused in the one, and escaped in the other.
_NULL = "\x01"


def insert_columns(columns: Columns) -> int:
    """Predictions by their columns, all of one length, passing over those whose names are taken; how many were put in.
    JSON is given as text, an id as a UUID or its text."""
    if connection.vendor != "postgresql":
        return _insert_prepared(columns)
    return _insert_arrays(columns) if len(columns["id"]) <= FEW else _copy(columns)


def _copy(columns: Columns) -> int:
    """Rows go by COPY into a table of this connection's own, and are merged by one statement. A server behind a pool
    may be another one in each transaction, so the table is asked for each time; it is empty after each."""
    names = ", ".join(columns)
    lines = map("\t".join, zip(*map(_texts, columns.values()), strict=True))
    text = "\n".join(lines).replace("\\", "\\\\")
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
        cursor.copy_expert(f"COPY {_STAGED} ({names}) FROM STDIN (NULL E'\\x01')", io.StringIO(text), 1 << 20)
        cursor.execute(_sql(columns, f"SELECT {names} FROM {_STAGED}"))  # noqa: S608
        inserted = int(cursor.rowcount)
        if connection.savepoint_ids:  # a caller's transaction goes on, and may come again
            cursor.execute(f"DELETE FROM {_STAGED}")  # noqa: S608
    return inserted


def _texts(values: Sequence[Any]) -> list[str]:
    """A column as COPY reads it, but for backslashes."""
    if isinstance(values[0], datetime):
        written = {value: value.isoformat() for value in set(values)}
        return [written[value] for value in values]
    return [value if value.__class__ is str else _NULL if value is None else str(value) for value in values]


def _insert_arrays(columns: Columns) -> int:
    """One statement with an array a column: a parameter for each value takes driver and parser longer."""
    sent = [f"%s::{_element(name)}[]" for name in columns]
    rows = f"SELECT * FROM unnest({', '.join(sent)})"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(_sql(columns, rows), [_array(values) for values in columns.values()])
        return int(cursor.rowcount)


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


def _insert_prepared(columns: Columns) -> int:
    """The same statement for each row, which SQLite reads once."""
    adapted = {name: _adapted(list(each)) for name, each in columns.items()}
    adapted["id"] = [str(each).replace("-", "") for each in columns["id"]]
    sql = _sql(columns, f"VALUES ({', '.join(['%s'] * len(columns))})")
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(zip(*adapted.values(), strict=True)))
        return int(cursor.rowcount)


def _sql(columns: Columns, rows: str) -> str:
    return f"INSERT INTO {_TABLE} ({', '.join(columns)}) {rows} ON CONFLICT DO NOTHING"


def _adapted(values: list[Any]) -> list[Any]:
    """Times as SQLite keeps them; a column has times or none."""
    if not isinstance(values[0], datetime):
        return values
    adapt = connection.ops.adapt_datetimefield_value
    written = {value: adapt(value) for value in set(values)}
    return [written[value] for value in values]
