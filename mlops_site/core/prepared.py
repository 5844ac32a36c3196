"""Statements whose SQL is built once per process: on a hot path the ORM takes longer to build it than the database
to run it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models


class Prepared:
    """A query of plain columns. `build` takes a value for each parameter and uses each once, in that order (one
    `filter` each: Django sorts what stands in one), in a `values_list`. Rows come back as the driver gives them, JSON
    as text."""

    def __init__(self, build: Callable[..., models.QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._build = build
        self._sql = ""

    def __call__(self, *values: Any) -> list[tuple[Any, ...]]:
        adapted = [_adapted(value) for value in values]
        if not self._sql:
            self._sql = self._compiled(values, adapted)
        with connection.cursor() as cursor:
            cursor.execute(self._sql, adapted)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def _compiled(self, values: Sequence[Any], adapted: Sequence[Any]) -> str:
        sql, params = self._build(*values).query.sql_with_params()
        if list(params) != list(adapted):
            raise RuntimeError(
                f"the parameters of {self._build.__name__} must be used once and in order but are {params}"
            )
        return str(sql)


def _adapted(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def insert(rows: Sequence[models.Model]) -> None:
    """All rows of one model in one statement, so all or none even outside a transaction. Raises IntegrityError.

    What `save` would do beyond that (signals, keys made by the database, defaults in the database) is not done.
    """
    wrapper, meta = connections[DEFAULT_DB_ALIAS], rows[0]._meta
    fields = meta.concrete_fields
    head, places = _insertion(meta.db_table, tuple(str(field.column) for field in fields))
    values = [field.get_db_prep_save(getattr(row, field.attname), wrapper) for row in rows for field in fields]
    with wrapper.cursor() as cursor:
        cursor.execute(head + ", ".join([places] * len(rows)), values)
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


@functools.cache
def _insertion(table: str, columns: tuple[str, ...]) -> tuple[str, str]:
    quote = connection.ops.quote_name
    names = ", ".join(quote(column) for column in columns)
    return f"INSERT INTO {quote(table)} ({names}) VALUES ", f"({', '.join(['%s'] * len(columns))})"  # noqa: S608
