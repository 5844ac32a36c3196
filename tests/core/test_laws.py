"""Laws are put in place after every migration, as often as one likes."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from mlops_site.core import laws
from mlops_site.core.laws import Law
from mlops_site.core.models import Team

pytestmark = pytest.mark.django_db
LAW = Law("no_team_x", "core_team", "INSERT", "NEW.name = 'x'", "x is no team")


def put(law: Law) -> None:
    with connection.cursor() as cursor:
        for statement in laws.sql(law, connection.vendor):
            cursor.execute(statement)


def triggers() -> int:
    query = "SELECT COUNT(*) FROM " + (
        "sqlite_master WHERE type = 'trigger'" if connection.vendor == "sqlite" else "pg_trigger WHERE NOT tgisinternal"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])


def test_every_declared_law_is_held() -> None:
    assert laws.declared(apps.get_app_config("core"))
    assert laws.missing() == []


def test_before_a_migration_sqlite_lets_go_of_them_and_afterwards_holds_them_again() -> None:
    before, site = triggers(), apps.get_app_config("core")
    laws.lift(site)  # nothing to migrate
    assert triggers() == before
    laws.lift(site, plan=["a migration"])
    assert triggers() == (0 if connection.vendor == "sqlite" else before)
    for app in apps.get_app_configs():
        laws.install(app)
    assert (triggers(), laws.missing()) == (before, [])


def test_installing_again_changes_nothing() -> None:
    before = triggers()
    for app in apps.get_app_configs():
        laws.install(app)
    assert triggers() == before
    assert laws.missing() == []


def test_installing_repairs() -> None:
    on = "" if connection.vendor == "sqlite" else " ON core_auditrecord"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER core_auditrecord_no_delete{on}")
    assert laws.missing() == ["core_auditrecord_no_delete"]
    laws.install(apps.get_app_config("core"))
    assert laws.missing() == []


def test_a_law_refuses_and_a_newer_form_replaces_it() -> None:
    put(LAW)
    with pytest.raises(DatabaseError, match="x is no team"), transaction.atomic():
        Team.objects.create(name="x")
    put(LAW._replace(condition="NEW.name = 'y'"))
    Team.objects.create(name="x")


def test_before_the_tables_exist_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    app = apps.get_app_config("core")
    monkeypatch.setattr(app.models_module, "LAWS", [LAW._replace(name="early", table="not_yet_made")])
    laws.install(app)
    assert laws.missing() == ["early"]


def test_names_are_unique() -> None:
    names = [law.name for app in apps.get_app_configs() for law in laws.declared(app)]
    assert len(names) == len(set(names))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite makes a table anew to change it")
@pytest.mark.django_db(transaction=True)
def test_a_table_that_the_triggers_of_another_name_can_be_changed() -> None:
    """As on an install that is brought up to date, where the triggers are there before the migration."""
    model = apps.get_model("registry", "PromotionRequest")

    def change() -> None:
        with connection.schema_editor() as editor:
            editor.alter_field(model, model._meta.get_field("reason"), altered(model))

    try:
        laws.lift(sender=apps.get_app_config("registry"), plan=["one"])
        assert laws.missing()
        change()
    finally:
        for app in apps.get_app_configs():
            laws.install(sender=app)
    assert laws.missing() == []
    with pytest.raises(DatabaseError, match="no such table"):
        change()


def altered(model: type[models.Model]) -> models.Field[Any, Any]:
    """The same column in another type, which makes the table anew."""
    field = models.CharField(max_length=99)
    field.set_attributes_from_name("reason")
    field.model = model
    return field


def test_without_a_plan_the_laws_stay(db: None) -> None:
    laws.lift(sender=apps.get_app_config("registry"), plan=[])
    assert laws.missing() == []
