"""Rows written by a statement that is built once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

from mlops_site.core.prepared.statements import execute

_PLAIN = frozenset({str, int, float})


def insert(rows: Sequence[models.Model]) -> None:
    """All rows of one model in one statement, so all or none even outside a transaction. Raises IntegrityError.

    What `save` would do beyond that (signals, keys made by the database, defaults in the database) is not done.
    """
    wrapper, meta = connections[DEFAULT_DB_ALIAS], rows[0]._meta
    fields = meta.concrete_fields
    head, places = _insertion(meta.db_table, tuple(str(field.column) for field in fields))
    values = [_prepared(field, getattr(row, field.attname), wrapper) for row in rows for field in fields]
    with wrapper.cursor() as cursor:
        if len(rows) == 1:
            execute(cursor, head + places, values)
        else:  # each number of rows would be a statement of its own to keep
            cursor.execute(head + ", ".join([places] * len(rows)), values)
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def _prepared(field: models.Field[Any, Any], value: Any, wrapper: Any) -> Any:
    """As the driver takes it: a text or a number as it is, unless it is one inside JSON."""
    if type(value) in _PLAIN and not isinstance(field, models.JSONField):
        return value
    return field.get_db_prep_save(value, wrapper)


@functools.cache
def _insertion(table: str, columns: tuple[str, ...]) -> tuple[str, str]:
    quote = connection.ops.quote_name
    names = ", ".join(quote(column) for column in columns)
    return f"INSERT INTO {quote(table)} ({names}) VALUES ", f"({', '.join(['%s'] * len(columns))})"  # noqa: S608
