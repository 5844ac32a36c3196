"""Laws that the database holds on both engines, as triggers put in place after every migration.

They are not migrations, because SQLite drops a table's triggers whenever a later migration rebuilds the table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.apps import AppConfig, apps
from django.db import connections

_HELD_BY_SQLITE = "SELECT name, sql, '' FROM sqlite_master WHERE type = 'trigger'"
# 'O' fires for everybody; 'D' is off and 'R' fires on replicas only
_HELD_BY_POSTGRESQL = """SELECT t.tgname, pg_get_triggerdef(t.oid, true), p.prosrc FROM pg_trigger t
    JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')"""


class Deed(NamedTuple):
    """After `event` on `table`, in the same transaction, also do `statement` (SQL over NEW that both engines know),
    for the rows that meet `condition`, written as PostgreSQL tells it again: without outer parentheses, `new` small.

    With `at_once`, the same over all rows of a statement as `new_rows`, PostgreSQL does that once a statement instead:
    a call for each of ten thousand rows takes longer than their insertion."""

    name: str
    table: str
    event: str
    statement: str
    condition: str = ""
    at_once: str = ""


class Law(NamedTuple):
    """Refuse `event` on `table` when `condition` (SQL over NEW and OLD that both engines understand) is true."""

    name: str
    table: str
    event: str  # INSERT, UPDATE, DELETE
    condition: str
    message: str


def append_only(table: str) -> list[Law]:
    """No row of the table changes or goes (TRUNCATE too, where the engine has it)."""
    return [
        Law(f"{table}_no_update", table, "UPDATE", "1 = 1", f"{table} is append-only"),
        Law(f"{table}_no_delete", table, "DELETE", "1 = 1", f"{table} is append-only"),
        Law(f"{table}_no_truncate", table, "TRUNCATE", "1 = 1", f"{table} is append-only"),
    ]


def in_days(days: int) -> str:
    """The time that many days from now in a condition. The engines have no spelling of it in common."""
    return f"{{{days} days from now}}"


def _spelt(condition: str, vendor: str) -> str:
    later = r"datetime('now', '+\1 days')" if vendor == "sqlite" else r"CURRENT_TIMESTAMP + INTERVAL '\1 days'"
    return re.sub(r"\{(\d+) days from now\}", later, condition)


def declared(app: AppConfig) -> list[Law | Deed]:
    """The laws an app declares as `LAWS` in its models."""
    return list(getattr(app.models_module, "LAWS", []))


def sql(law: Law | Deed, vendor: str) -> list[str]:
    """The statements that put one law in place, replacing an older form of it."""
    if vendor == "sqlite":
        return [] if law.event == "TRUNCATE" else [f"DROP TRIGGER IF EXISTS {law.name}", _trigger(law, vendor)]
    return [
        f"CREATE OR REPLACE FUNCTION {law.name}() RETURNS trigger LANGUAGE plpgsql AS $law${_function(law)}$law$",
        _trigger(law, vendor).replace("CREATE", "CREATE OR REPLACE", 1),
    ]


def _trigger(law: Law | Deed, vendor: str) -> str:
    if isinstance(law, Deed) and law.at_once and vendor != "sqlite":
        head = f"CREATE TRIGGER {law.name} AFTER {law.event} ON {law.table} REFERENCING NEW TABLE AS new_rows"
        return f"{head} FOR EACH STATEMENT EXECUTE FUNCTION {law.name}()"
    if isinstance(law, Deed):
        when = f" WHEN ({law.condition})" if law.condition else ""
        head = f"CREATE TRIGGER {law.name} AFTER {law.event} ON {law.table} FOR EACH ROW{when}"
        return f"{head} BEGIN {law.statement}; END" if vendor == "sqlite" else f"{head} EXECUTE FUNCTION {law.name}()"
    if vendor == "sqlite":
        condition = _spelt(law.condition, vendor)
        return (
            f"CREATE TRIGGER {law.name} BEFORE {law.event} ON {law.table} FOR EACH ROW WHEN ({condition}) "
            f"BEGIN SELECT RAISE(ABORT, '{law.message}'); END"
        )
    level = "STATEMENT" if law.event == "TRUNCATE" else "ROW"
    return f"CREATE TRIGGER {law.name} BEFORE {law.event} ON {law.table} FOR EACH {level} EXECUTE FUNCTION {law.name}()"


def _function(law: Law | Deed) -> str:
    if isinstance(law, Deed):
        return f" BEGIN {law.at_once or law.statement}; RETURN NULL; END "
    result = {"TRUNCATE": "NULL", "DELETE": "OLD"}.get(law.event, "NEW")
    condition = _spelt(law.condition, "postgresql")
    return (
        f" BEGIN IF ({condition}) THEN RAISE EXCEPTION '{law.message}' USING ERRCODE = 'check_violation'; END IF; "
        f"RETURN {result}; END "
    )


def lift(sender: AppConfig, using: str = "default", plan: Sequence[Any] = (), **kwargs: Any) -> None:
    """Before a `migrate` that has something to do, on SQLite: it rebuilds a table by dropping it, and refuses to put
    the new one in its place while a trigger of another table names it. `install` puts all of them back; should the
    migration fail, `missing` says so until one succeeds."""
    connection = connections[using]
    if connection.vendor != "sqlite" or not plan:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {connection.ops.quote_name(name)}")


def install(sender: AppConfig, using: str = "default", **kwargs: Any) -> None:
    """After `migrate`: each app's laws, once its tables exist."""
    connection = connections[using]
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for law in declared(sender):
            if law.table in tables:
                for statement in sql(law, connection.vendor):
                    cursor.execute(statement)


def missing(using: str = "default") -> list[str]:
    """Names of declared laws that the database does not hold as declared: absent, switched off or altered."""
    connection = connections[using]
    query = _HELD_BY_SQLITE if connection.vendor == "sqlite" else _HELD_BY_POSTGRESQL
    with connection.cursor() as cursor:
        cursor.execute(query)
        held = {name: (trigger, function) for name, trigger, function in cursor.fetchall()}
    laws = [law for app in apps.get_app_configs() for law in declared(app) if sql(law, connection.vendor)]
    return [law.name for law in laws if held.get(law.name) != _expected(law, connection.vendor)]


def _expected(law: Law | Deed, vendor: str) -> tuple[str, str]:
    return _trigger(law, vendor), "" if vendor == "sqlite" else _function(law)
