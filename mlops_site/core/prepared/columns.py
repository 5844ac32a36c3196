"""Plain columns by a statement that is built once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, connections, models

from mlops_site.core.prepared.statements import execute


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
        wrapper: Any = connections[DEFAULT_DB_ALIAS]
        # The statement itself shows whether the kept connection is alive; Django would ask SELECT 1 before it.
        wrapper.health_check_done = True
        try:
            return self._rows(adapted)
        except (OperationalError, InterfaceError):
            if wrapper.in_atomic_block or wrapper.is_usable():
                raise
            wrapper.close()
            return self._rows(adapted)

    def _rows(self, adapted: Sequence[Any]) -> list[tuple[Any, ...]]:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            execute(cursor, self._sql, adapted)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def _compiled(self, values: Sequence[Any], adapted: Sequence[Any]) -> str:
        sql, params = self._build(*values).query.sql_with_params()
        if list(params) != list(adapted):
            name = self._build.__name__
            raise RuntimeError(f"the parameters of {name} must be used once and in order but are {params}")
        return str(sql)


def _adapted(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
