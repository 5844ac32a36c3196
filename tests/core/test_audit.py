"""The audit chain against somebody who writes SQL: refused while the triggers stand, found when they do not."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from pytest_django.fixtures import Settings

from mlops_site.core import audit, events, laws
from mlops_site.core.models import AuditRecord, ChainHead
from mlops_site.core.permissions import Actor

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def chain() -> Iterator[None]:
    audit.checkpoint_file().unlink(missing_ok=True)
    for number in range(1, 7):
        with events.atomic():
            events.record("model.edited", actor=Actor.system("tests"), subject=f"model:m{number}", data={"n": number})
    yield
    audit.checkpoint_file().unlink(missing_ok=True)  # other tests' chains are not those that it saw


def sql(statement: str, *values: str | int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.fixture
def without_triggers() -> None:
    """What an attacker who owns the tables can do; the triggers come back with the test's rollback."""
    for law in laws.append_only("core_auditrecord"):
        if laws.sql(law, connection.vendor):
            on = "" if connection.vendor == "sqlite" else f" ON {law.table}"
            sql(f"DROP TRIGGER {law.name}{on}")


def beyond_triggers() -> list[str]:
    return [fault for fault in audit.faults() if not fault.startswith("trigger")]


def test_a_whole_chain_has_no_fault() -> None:
    assert list(audit.faults()) == []
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert out.getvalue() == "The audit chain is whole: 6 records.\n"


def test_an_empty_chain_is_whole(without_triggers: None) -> None:
    sql("DELETE FROM core_auditrecord")
    sql("DELETE FROM core_chainhead")
    assert beyond_triggers() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core_auditrecord SET actor = 'nobody' WHERE seq = 3",
        "UPDATE core_auditrecord SET seq = 30 WHERE seq = 3",
        "DELETE FROM core_auditrecord WHERE seq = 3",
        "DELETE FROM core_auditrecord",
        "TRUNCATE core_auditrecord",
        "TRUNCATE core_chainhead, core_auditrecord",
        "INSERT OR REPLACE INTO core_auditrecord SELECT * FROM core_auditrecord WHERE seq = 3",
        "UPDATE OR REPLACE core_auditrecord SET seq = 4 WHERE seq = 3",
        "INSERT INTO core_auditrecord SELECT * FROM core_auditrecord WHERE seq = 3"
        " ON CONFLICT (seq) DO UPDATE SET actor = 'nobody'",
    ],
)
def test_the_database_refuses(statement: str) -> None:
    only = {"TRUNCATE": "postgresql", "INSERT OR": "sqlite", "UPDATE OR": "sqlite"}
    engine = next((engine for start, engine in only.items() if statement.startswith(start)), connection.vendor)
    if engine == "sqlite" and "ON CONFLICT" in statement:
        statement = statement.replace("WHERE seq = 3", "WHERE seq = 3 AND true")
    if engine != connection.vendor:
        pytest.skip(f"{engine} only")
    with pytest.raises(DatabaseError, match="core_auditrecord is append-only"), transaction.atomic():
        sql(statement)
    assert list(audit.faults()) == []


def test_the_orm_is_refused_as_well() -> None:
    row = AuditRecord.objects.get(seq=2)
    row.actor = "nobody"
    for attempt in (row.save, row.delete, AuditRecord.objects.all().delete):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            attempt()


@pytest.mark.parametrize("column", ["at", "actor", "team", "action", "subject", "body", "previous", "digest"])
def test_a_changed_column_is_found(without_triggers: None, column: str) -> None:
    value = "2020-01-01 00:00:00+00:00" if column == "at" else "changed"
    sql(f"UPDATE core_auditrecord SET {column} = %s WHERE seq IN (3, 5)", value)
    assert [fault.split(":")[0] for fault in beyond_triggers()] == ["row 3"]


def test_a_rewritten_body_with_its_columns_is_found(without_triggers: None) -> None:
    row = AuditRecord.objects.get(seq=4)
    sql(
        "UPDATE core_auditrecord SET subject = 'model:other', body = %s WHERE seq = 4",
        row.body.replace("model:m4", "model:other"),
    )
    assert beyond_triggers() == ["row 4: its content is not what was signed"]


def test_a_chain_signed_again_with_another_key_is_found(without_triggers: None, settings: Settings) -> None:
    key = settings.AUDIT_KEY
    settings.AUDIT_KEY = "the key of somebody who guessed it wrong"
    previous = ""
    for row in AuditRecord.objects.all():
        digest = events.link(previous, row.body)
        sql("UPDATE core_auditrecord SET previous = %s, digest = %s WHERE seq = %s", previous, digest, row.seq)
        previous = digest
    sql("UPDATE core_chainhead SET digest = %s", previous)
    assert beyond_triggers() == []
    settings.AUDIT_KEY = key
    assert beyond_triggers() == ["row 1: its content is not what was signed"]


def test_a_deleted_row_is_found(without_triggers: None) -> None:
    sql("DELETE FROM core_auditrecord WHERE seq IN (2, 3)")
    assert beyond_triggers() == ["row 2: it is missing; the next one is 4"]


def test_a_deleted_first_row_is_found(without_triggers: None) -> None:
    sql("DELETE FROM core_auditrecord WHERE seq = 1")
    assert beyond_triggers() == ["row 1: it is missing; the next one is 2"]


def test_a_row_put_in_between_is_found(without_triggers: None) -> None:
    sql("UPDATE core_auditrecord SET seq = seq + 100 WHERE seq > 3")
    sql("UPDATE core_auditrecord SET seq = seq - 99 WHERE seq > 100")
    sql(
        "INSERT INTO core_auditrecord (seq, at, actor, team, action, subject, body, previous, digest)"
        " SELECT 4, at, actor, team, action, subject, body, digest, digest FROM core_auditrecord WHERE seq = 3"
    )
    assert beyond_triggers()[0] == "row 4: its content is not what was signed"


def test_two_rows_that_changed_places_are_found(without_triggers: None) -> None:
    for old, new in ((3, 30), (4, 3), (30, 4)):
        sql("UPDATE core_auditrecord SET seq = %s WHERE seq = %s", new, old)
    assert beyond_triggers() == ["row 3: does not follow the row before it"]


def test_a_forged_row_at_the_end_is_found() -> None:
    sql(
        "INSERT INTO core_auditrecord (seq, at, actor, team, action, subject, body, previous, digest)"
        " SELECT 7, at, actor, team, action, subject, body, digest, digest FROM core_auditrecord WHERE seq = 6"
    )
    assert beyond_triggers() == ["row 7: it stands beyond the chain's head"]
    sql("UPDATE core_chainhead SET seq = 7")
    assert beyond_triggers() == ["row 7: its content is not what was signed"]


def test_a_cut_tail_is_found_by_the_head(without_triggers: None) -> None:
    sql("DELETE FROM core_auditrecord WHERE seq > 4")
    assert beyond_triggers() == ["row 5: the chain ends at 4 but its head says 6"]


def test_a_tail_cut_with_its_head_is_found_by_the_checkpoint(without_triggers: None) -> None:
    assert audit.write_checkpoint() == 6
    assert beyond_triggers() == []
    sql("DELETE FROM core_auditrecord WHERE seq > 4")
    digest = AuditRecord.objects.get(seq=4).digest
    sql("UPDATE core_chainhead SET seq = 4, digest = %s", digest)
    (fault,) = beyond_triggers()
    assert fault.startswith("row 6: not the one that checkpoint 1 of ")


def test_a_chain_that_vanished_is_found_by_the_checkpoint(without_triggers: None) -> None:
    audit.write_checkpoint()
    sql("DELETE FROM core_auditrecord")
    sql("DELETE FROM core_chainhead")
    (fault,) = beyond_triggers()
    assert fault.startswith("row 6: not the one that checkpoint 1")


@pytest.mark.parametrize("line", ["", "{}", "null", "[1]", "not JSON", '{"seq": 1, "digest": "x", "signature": "y"}'])
def test_a_forged_checkpoint_is_found(line: str) -> None:
    audit.write_checkpoint()
    with audit.checkpoint_file().open("a") as file:
        file.write(line + "\n")
    assert beyond_triggers() == ["checkpoint 2 in audit_checkpoints.jsonl is not signed by this install's AUDIT_KEY"]


def test_a_checkpoint_lies_outside_the_database_for_its_owner_only() -> None:
    audit.write_checkpoint()
    path = audit.checkpoint_file()
    assert isinstance(path, Path)
    assert path.stat().st_mode & 0o077 == 0


def test_no_checkpoint_is_written_of_nothing(without_triggers: None) -> None:
    sql("DELETE FROM core_chainhead")
    assert audit.write_checkpoint() == 0
    assert not audit.checkpoint_file().exists()


def test_a_chain_that_grows_while_it_is_verified_is_whole() -> None:
    """The head is read first; rows that come after it are the next verification's."""
    faults = audit.faults()
    original = ChainHead.objects.get()
    with events.atomic():
        events.record("late.fact", actor=Actor.system("tests"), subject="model:m")
    assert list(faults) == []
    assert ChainHead.objects.get().seq == original.seq + 1


class TestTriggers:
    name = "core_auditrecord_no_update"

    def test_a_missing_one_is_named_by_verify_audit(self, without_triggers: None) -> None:
        with pytest.raises(CommandError, match=f"trigger {self.name} is missing from the database"):
            call_command("verify_audit")

    def test_one_that_was_emptied_is_missing_too(self) -> None:
        assert laws.missing() == []
        if connection.vendor == "sqlite":
            sql(f"DROP TRIGGER {self.name}")
            sql(f"CREATE TRIGGER {self.name} BEFORE UPDATE ON core_auditrecord WHEN 0 = 1 BEGIN SELECT 1; END")
        else:
            sql(
                f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RETURN NEW; END $$"
            )
        assert laws.missing() == [self.name]

    @pytest.mark.parametrize("state", ["DISABLE", "ENABLE REPLICA"])
    def test_one_that_was_switched_off_is_missing_too(self, state: str) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite has no such switch")
        sql(f"ALTER TABLE core_auditrecord {state} TRIGGER {self.name}")
        assert laws.missing() == [self.name]
