"""Rollback past damaged artifacts, and what is said of it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core.errors import Conflict
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import Incident, RegisteredModel, StageInterval, Version
from tests.kept import kept_fixture
from tests.registry.http import Person
from tests.registry.parts import into_production, user
from tests.registry.test_stages import damage


@kept_fixture
def three(served: Version, model: RegisteredModel, author: Actor, approver: Actor) -> list[Version]:
    """1.0.0, 1.0.1 and 1.0.2, each in production after the other."""
    return [served, *(into_production(model, author=author, approver=approver, seed=seed) for seed in (1, 2))]


def state() -> tuple[int, ...]:
    return tuple(rows.objects.count() for rows in (StageInterval, Incident, AuditRecord))


def test_a_damaged_version_is_passed_over_for_the_one_before_it(
    three: list[Version], model: RegisteredModel, approver: Actor
) -> None:
    first, second, third = three
    damage(second.artifact_id)
    done = services.rollback(model, actor=approver, reason="false alarms")
    assert (done.version, done.replaced) == (first, third)
    ((skipped, why),) = done.skipped
    assert skipped == second
    assert "damaged" in why
    assert selectors.in_production(model) == first


def test_the_incidents_and_the_event_say_so(three: list[Version], model: RegisteredModel, approver: Actor) -> None:
    damage(three[1].artifact_id)
    done = services.rollback(model, actor=approver, reason="false alarms")
    assert "passing over 1.0.1 (" in done.incident.what
    damaged = Incident.objects.get(kind="damaged_artifact")
    assert damaged.version == three[1]
    assert "damaged" in damaged.what
    said = AuditRecord.objects.get(action="version.rolled_back").data
    assert [row["version"] for row in said["skipped"]] == ["1.0.1"]
    assert AuditRecord.objects.filter(action="incident.opened").count() == 2


def test_a_damaged_version_has_one_open_incident(
    three: list[Version], model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    damage(three[1].artifact_id)
    services.rollback(model, actor=approver, reason="x")
    into_production(model, author=author, approver=approver, seed=3)
    services.rollback(model, actor=approver, reason="x")
    into_production(model, author=author, approver=approver, seed=4)
    damage(three[0].artifact_id)
    with pytest.raises(Conflict):
        services.rollback(model, actor=approver, reason="x")
    assert Incident.objects.filter(kind="damaged_artifact").count() == 1
    assert Incident.objects.filter(kind="rolled_back").count() == 2


def test_when_all_are_damaged_nothing_changes(three: list[Version], model: RegisteredModel, approver: Actor) -> None:
    for version in three[:2]:
        damage(version.artifact_id)
    before = state()
    with pytest.raises(Conflict, match=r"claims 1\.0\.1 did not pass .* claims 1\.0\.0 did not pass") as raised:
        services.rollback(model, actor=approver, reason="x")
    assert raised.value.code == "preflight_failed"
    assert (selectors.in_production(model), state()) == (three[2], before)


def test_with_nothing_behind_it_is_a_conflict_and_nothing_changes(served: Version, decider: Person) -> None:
    before = state()
    status, problem = decider.post("/models/claims/rollback", {"reason": "x"})
    assert (status, problem["code"]) == (409, "nothing_to_roll_back_to")
    assert "1.0.0 is the only version that served" in problem["detail"]
    assert state() == before


def test_over_http(three: list[Version], decider: Person) -> None:
    damage(three[1].artifact_id)
    status, said = decider.post("/models/claims/rollback", {"reason": "false alarms"})
    assert (status, said["version"], said["replaced"]) == (200, "1.0.0", "1.0.2")
    assert [row["version"] for row in said["skipped"]] == ["1.0.1"]


def test_on_the_page(three: list[Version], approver: Actor) -> None:
    damage(three[1].artifact_id)
    browser = Client()
    browser.force_login(user(approver))
    answer = browser.post(reverse("rollback", args=["claims"]), {"reason": "false alarms"}, follow=True)
    assert "claims 1.0.1 was passed over, it cannot serve" in answer.content.decode()
