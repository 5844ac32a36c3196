"""One transaction, one record; refusals after the rollback."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from mlops_site.core import audit, events
from mlops_site.core.errors import Conflict, Forbidden
from mlops_site.core.models import AuditRecord, ChainHead, Team
from mlops_site.core.permissions import Action, Actor, require
from tests import people

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("tests")


def say(action: str, **options: Any) -> None:
    events.record(action, actor=SYSTEM, subject="model:m", **options)


def said() -> list[str]:
    return list(AuditRecord.objects.values_list("action", flat=True))


def test_a_fact_is_recorded_with_what_it_changes() -> None:
    with events.atomic():
        Team.objects.create(name="claims")
        say("team.created", team="claims", data={"x": 1})
        assert said() == []
    row = AuditRecord.objects.get()
    assert (row.seq, row.actor, row.team, row.subject, row.data) == (1, "system:tests", "claims", "model:m", {"x": 1})
    assert list(audit.faults()) == []


def test_a_rollback_leaves_nothing() -> None:
    with pytest.raises(Conflict), events.atomic():
        Team.objects.create(name="claims")
        say("team.created")
        raise Conflict("no")
    assert (said(), Team.objects.count()) == ([], 0)
    with events.atomic():
        say("next.fact")
    assert said() == ["next.fact"]


def test_the_chain_is_written_once_by_the_outermost_service_and_last() -> None:
    with CaptureQueriesContext(connection) as queries, events.atomic():
        with events.atomic():
            say("inner.fact")
        say("outer.fact")
        Team.objects.create(name="claims")
    assert said() == ["inner.fact", "outer.fact"]
    changes = [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE"))]
    assert "core_team" in changes[0]
    assert "core_chainhead" in changes[-1]
    assert sum("core_auditrecord" in sql for sql in changes) == 1


def test_an_inner_service_that_fails_takes_only_its_own_facts_along() -> None:
    with events.atomic():
        say("before.fact")
        with pytest.raises(Conflict), events.atomic():
            Team.objects.create(name="claims")
            say("inner.fact")
            raise Conflict("no")
        say("after.fact")
    assert said() == ["before.fact", "after.fact"]
    assert not Team.objects.exists()


def test_a_fact_outside_a_service_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match=r"lone.fact must be recorded inside events.atomic\(\)"):
        say("lone.fact")
    with events.atomic():
        pass
    with pytest.raises(RuntimeError):
        say("lone.fact")


def test_a_value_that_json_cannot_say_stops_the_service() -> None:
    with pytest.raises(ValueError, match="Out of range float"), events.atomic():
        Team.objects.create(name="claims")
        say("model.scored", data={"auc": float("nan")})
    assert not Team.objects.exists()


def test_a_refusal_is_recorded_after_the_rollback_and_once() -> None:
    eve, team = people.actor("eve", "viewer"), Team.objects.get()
    before = len(said())
    with pytest.raises(Forbidden) as caught, events.atomic():
        say("attempted.fact")
        Team.objects.create(name="gone")
        with events.atomic():
            require(eve, Action.ROLLBACK, team, subject="model:m")
    row = AuditRecord.objects.last()
    assert row is not None
    assert said()[before:] == ["rollback.refused"]
    assert (row.actor, row.team, row.subject, row.data["code"]) == ("eve", "claims", "model:m", "forbidden")
    assert row.data["detail"] == caught.value.detail
    assert not Team.objects.filter(name="gone").exists()


def test_a_forbidden_without_a_story_is_not_recorded() -> None:
    with pytest.raises(Forbidden), events.atomic():
        raise Forbidden("nothing to tell")
    assert said() == []


def test_threads_do_not_hear_each_other() -> None:
    heard: list[bool] = []

    def other() -> None:
        try:
            say("other.fact")
        except RuntimeError:
            heard.append(False)

    with events.atomic():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert heard == [False]


def test_canonical_json_has_one_text() -> None:
    assert events.canonical({"b": [1, 2.5], "a": "é"}) == '{"a":"é","b":[1,2.5]}'
    assert events.digest_of({"a": 1, "b": 2}) == events.digest_of({"b": 2, "a": 1})
    assert events.digest_of({"a": 1}) != events.digest_of({"a": "1"})


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_sixteen_threads_make_one_chain() -> None:
    """Without select_for_update on the head, two writers take the same number (tried: duplicate key)."""

    def write(number: int) -> None:
        for turn in range(10):
            with events.atomic():
                events.record(f"turn.{turn}", actor=SYSTEM, subject=f"thread:{number}")
        connection.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(AuditRecord.objects.values_list("seq", flat=True)) == list(range(1, 161))
    assert ChainHead.objects.get().seq == 160
    assert list(audit.faults()) == []


@pytest.mark.django_db(transaction=True)
def test_a_refusal_stays_when_what_was_attempted_is_gone() -> None:
    eve, team = people.actor("eve", "viewer"), Team.objects.get()
    with pytest.raises(Forbidden), events.atomic():
        Team.objects.create(name="gone")
        require(eve, Action.ROLLBACK, team)
    assert not transaction.get_connection().in_atomic_block
    assert said()[-1] == "rollback.refused"
    assert list(Team.objects.values_list("name", flat=True)) == ["claims"]
