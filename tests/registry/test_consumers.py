"""Who asks a model, and the warning that a promotion would change something for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mlops_site.core.models import AuditRecord, Token
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.artifacts.interface import changes
from registry.models import Consumer, RegisteredModel, Version
from registry.services import consumers
from tests.people import bearer, person
from tests.registry.http import Person
from tests.registry.parts import SIGNATURE, candidate, user

FEATURES = {"age": 51, "visits": 3}
MAY_LEAVE_OUT = SIGNATURE | {"inputs": [SIGNATURE["inputs"][0], SIGNATURE["inputs"][1] | {"required": False}]}


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Each test's database begins empty, so the process must not remember another's."""
    consumers._noted.clear()
    yield
    consumers._noted.clear()


@pytest.fixture
def machine(served: Version) -> Client:
    return Client(headers=bearer(person("claims-app", "service")))


def predict(client: Client, **more: Any) -> int:
    body = {"features": FEATURES, **more}
    return client.post("/api/v1/models/claims/predict", body, content_type="application/json").status_code


def log(client: Client) -> int:
    row = {"model_name": "claims", "model_version": "1.0.0", "request_id": "r", "features": FEATURES, "prediction": 1}
    return client.post("/api/v1/monitoring/log-prediction", row, content_type="application/json").status_code


@pytest.mark.parametrize("ask", [predict, log])
def test_a_token_that_predicts_or_logs_is_a_consumer(machine: Client, model: RegisteredModel, ask: Any) -> None:
    assert ask(machine) in (200, 201)
    prefix = Token.objects.get(user__username="claims-app").prefix
    today = timezone.now().date()
    assert selectors.consumers(model) == [{"token": prefix, "holder": "claims-app", "last_used_on": today}]


def test_it_is_written_once_a_day_and_a_process(machine: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    predict(machine)
    with CaptureQueriesContext(connection) as queries:
        predict(machine)
    assert not [query for query in queries if "registry_consumer" in query["sql"]]
    tomorrow = timezone.now() + timedelta(days=1)
    monkeypatch.setattr("registry.services.consumers.timezone.now", lambda: tomorrow)
    predict(machine)
    assert Consumer.objects.get().last_used_on == tomorrow.date()


def test_a_prediction_is_answered_when_its_asker_cannot_be_noted(machine: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE registry_consumer RENAME COLUMN last_used_on TO another")
    assert predict(machine) == 200
    assert consumers._noted == {}


def test_refused_and_long_past_askers_are_none(machine: Client, model: RegisteredModel) -> None:
    assert predict(machine, features={"age": "old"}) == 422
    assert selectors.consumers(model) == []
    predict(machine)
    Consumer.objects.update(last_used_on=timezone.now().date() - timedelta(days=31))
    assert selectors.consumers(model) == []


def test_who_asks_over_http(machine: Client, engineer: Person, stranger: Person) -> None:
    predict(machine)
    status, rows = engineer.get("/models/claims/consumers")
    assert (status, [row["holder"] for row in rows]) == (200, ["claims-app"])
    assert stranger.get("/models/claims/consumers")[0] == 404


def test_what_callers_notice() -> None:
    number, text = {"name": "age", "kind": "number"}, {"name": "site", "kind": "category"}
    before = {"inputs": [number, text], "task_type": "classification", "classes": [0, 1], "output": "probability"}
    after = before | {
        "inputs": [{"name": "region", "kind": "category"}, text | {"kind": "number"}],
        "classes": [0, 1, 2],
    }
    assert [str(change) for change in changes(before, after)] == [
        "input age (number) is removed",
        "input region (category) is added",
        "input site changes from category to number",
        "classes changes from 0, 1 to 0, 1, 2",
    ]
    assert [change.what for change in changes(before, before | {"inputs": [text, number]})] == ["input_order"]
    assert changes(before, before) == []


def staged(model: RegisteredModel, author: Actor, **parts: Any) -> Version:
    version = services.register_version(model, actor=author, candidate=candidate(1, **parts))
    services.move_stage(version, actor=author, target_stage="staging", reason="ready")
    return version


def test_a_request_that_changes_the_signature_warns_and_names_the_consumers(
    machine: Client, model: RegisteredModel, author: Actor, engineer: Person, decider: Person
) -> None:
    predict(machine)
    staged(model, author, signature=MAY_LEAVE_OUT)
    order = {"target_stage": "production", "reason": "visits may be missing"}
    status, said = engineer.post("/models/claims/2.0.0/promote", order)
    assert status == 202
    (warning,) = said["warnings"]
    assert "differs from that of 1.0.0, which is in production: input visits may be left out now" in warning
    assert "claims-app (token " in warning
    assert said["request"]["warnings"] == said["warnings"]
    change = said["request"]["evidence"]["signature_change"]
    assert (change["replaces"], change["changes"][0]["what"]) == ("1.0.0", "input_required")
    status, decided = decider.post(f"/approvals/{said['request']['id']}/approve", {})
    assert (status, decided["status"], decided["warnings"]) == (200, "approved", said["warnings"])
    promoted = AuditRecord.objects.filter(action="version.stage_changed").latest("seq").data
    assert promoted["warnings"] == said["warnings"]


def test_the_same_signature_warns_of_nothing(
    machine: Client, model: RegisteredModel, author: Actor, engineer: Person
) -> None:
    predict(machine)
    staged(model, author)
    said = engineer.post("/models/claims/1.0.1/promote", {"target_stage": "production", "reason": "x"})[1]
    assert (said["warnings"], said["request"]["evidence"]["signature_change"]) == ([], None)


def test_the_pages_warn(machine: Client, model: RegisteredModel, author: Actor, approver: Actor) -> None:
    predict(machine)
    version = staged(model, author, signature=MAY_LEAVE_OUT)
    browser = Client()
    browser.force_login(user(author))
    said = browser.get(reverse("version_request", args=["claims", "2.0.0"])).content.decode()
    assert "input visits may be left out now. Asked by in the last 30 days: claims-app" in said
    request = services.request_promotion(version, actor=author, reason="x")
    browser.force_login(user(approver))
    said = browser.get(reverse("admin:registry_promotionrequest_change", args=[request.pk])).content.decode()
    assert "input visits may be left out now" in said
