"""Laws that the database holds on both engines: triggers from one condition, put in place after every migration.

They are not migrations, because SQLite drops a table's triggers whenever a later migration rebuilds the table.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.apps import AppConfig, apps
from django.db import connections


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


def declared(app: AppConfig) -> list[Law]:
    """The laws an app declares as `LAWS` in its models."""
    return list(getattr(app.models_module, "LAWS", []))


def sql(law: Law, vendor: str) -> list[str]:
    """The statements that put one law in place, replacing an older form of it."""
    if vendor == "sqlite":
        if law.event == "TRUNCATE":
            return []
        return [
            f"DROP TRIGGER IF EXISTS {law.name}",
            f"CREATE TRIGGER {law.name} BEFORE {law.event} ON {law.table} FOR EACH ROW WHEN ({law.condition}) "
            f"BEGIN SELECT RAISE(ABORT, '{law.message}'); END",
        ]
    result = "NULL" if law.event == "TRUNCATE" else "OLD" if law.event == "DELETE" else "NEW"
    level = "STATEMENT" if law.event == "TRUNCATE" else "ROW"
    return [
        f"CREATE OR REPLACE FUNCTION {law.name}() RETURNS trigger LANGUAGE plpgsql AS $law$ BEGIN IF ({law.condition}) "
        f"THEN RAISE EXCEPTION '{law.message}' USING ERRCODE = 'check_violation'; END IF; RETURN {result}; END $law$",
        f"CREATE OR REPLACE TRIGGER {law.name} BEFORE {law.event} ON {law.table} FOR EACH {level} "
        f"EXECUTE FUNCTION {law.name}()",
    ]


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
    """Names of declared laws that the database does not hold (for /readyz and verify_audit)."""
    connection = connections[using]
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        present = {row[0] for row in cursor.fetchall()}
    laws = [law for app in apps.get_app_configs() for law in declared(app) if sql(law, connection.vendor)]
    return [law.name for law in laws if law.name not in present]
