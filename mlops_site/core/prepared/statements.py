"""How a statement is sent: kept as PREPARE keeps it on PostgreSQL, and lists of keys as one parameter."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

from django.db import connection, models
from django.db.backends.utils import CursorWrapper

_numbers = itertools.count()


def execute(cursor: CursorWrapper, sql: str, params: Sequence[Any]) -> None:
    wrapper: Any = cursor.db
    # The setting says that a pool may give each transaction another connection, where nothing stays prepared.
    if wrapper.vendor != "postgresql" or wrapper.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        cursor.execute(sql, params)
        return
    name, numbered = _statement(sql)
    kept, names = wrapper.__dict__.get("prepared", (None, set()))
    if kept is not wrapper.connection:  # another connection than the one that they were prepared on
        kept, names = wrapper.prepared = (wrapper.connection, set())
    if name not in names:
        with kept.cursor() as plain:
            plain.execute(f"PREPARE {name} AS {numbered}")
        names.add(name)
    cursor.execute(f"EXECUTE {name} ({', '.join(['%s'] * len(params))})", params)


@functools.cache
def _statement(sql: str) -> tuple[str, str]:
    """A name for it, and its text as PREPARE wants it: $1, $2, … in place of %s."""
    places = itertools.count(1)
    return f"steward_{next(_numbers)}", re.sub("%s", lambda _: f"${next(places)}", sql)


def parameter(value: Any) -> Any:
    """A list of keys as the engine takes it in one parameter."""
    return value if not isinstance(value, list) or connection.vendor == "postgresql" else json.dumps(value)


@models.ForeignKey.register_lookup
@models.Field.register_lookup
class Among(models.Lookup):
    """`pk__among=keys`: what `__in` finds, with all keys as one parameter. So one statement does for every number of
    keys, and PostgreSQL does not read a hundred parameters of it each time."""

    lookup_name = "among"

    def get_prep_lookup(self) -> list[int]:
        return list(self.rhs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        sql, params = self.process_lhs(compiler, connection)
        test = "= ANY(%s)" if connection.vendor == "postgresql" else "IN (SELECT value FROM json_each(%s))"
        return f"{sql} {test}", (*params, parameter(self.rhs))
