"""How the tables are emptied after a transactional test.

Django's own flush puts content types, permissions and every law in place anew, each time. Here what the migrations left
stays, unless a test changed it. The laws refuse DELETE and TRUNCATE, so it goes around them: by a
superuser's switch on PostgreSQL, by triggers taken away and put back as they were on SQLite. The site has neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.db import connection, transaction
from django.db.models import Model

from mlops_site.core import laws

Rows = list[dict[str, Any]]
Cursor = Any


class Flush:
    """Of the database as it is when this is made: called, it is so again."""

    def __init__(self) -> None:
        there = set(connection.introspection.table_names())
        models = [model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy]
        self._models = {model._meta.db_table: model for model in models if model._meta.db_table in there}
        self._first = {table: found for table, model in self._models.items() if (found := _rows(model))}

    def __call__(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            changed = self._changed(cursor)
            triggers = _off(cursor, changed)
            for table in changed:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
            for table in changed & self._first.keys():
                model = self._models[table]
                model._base_manager.bulk_create(model(**row) for row in self._first[table])
            for statement in triggers:
                cursor.execute(statement)
        if laws.missing():
            for app in apps.get_app_configs():
                laws.install(app)

    def _changed(self, cursor: Cursor) -> set[str]:
        asked = (
            f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})"
            for table in self._models.keys() - self._first.keys()
        )
        cursor.execute(" UNION ALL ".join(asked))
        filled = {table for (table,) in cursor.fetchall()}
        return filled | {table for table, rows in self._first.items() if _rows(self._models[table]) != rows}


def _rows(model: type[Model]) -> Rows:
    return list(model._base_manager.order_by("pk").values())


def _off(cursor: Cursor, tables: Iterable[str]) -> list[str]:
    """Switch the triggers of the tables off in this transaction; what puts them back before its end."""
    if connection.vendor != "sqlite":
        cursor.execute("SET LOCAL session_replication_role = replica")
        return []
    cursor.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
    found = [(name, sql) for name, table, sql in cursor.fetchall() if table in set(tables)]
    for name, _ in found:
        cursor.execute(f"DROP TRIGGER {connection.ops.quote_name(name)}")
    return [sql for _, sql in found]
