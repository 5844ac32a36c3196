"""The short way refuses what the long way refuses, and says who may read its answer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mlops_site.core.models import Token
from mlops_site.core.permissions import Actor
from registry import services
from tests.people import bearer, person
from tests.registry.parts import candidate

pytestmark = pytest.mark.django_db
PATH = "/api/v1/models/high_cost/predict"


@pytest.fixture
def machine() -> Client:
    return Client(headers=bearer(person("claims-app", "service")))


def test_its_answers_carry_what_browsers_respect(machine: Client) -> None:
    answer = machine.post(PATH, b"{}", content_type="application/json")
    assert answer.status_code == 422
    assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (answer["X-Frame-Options"], answer["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert int(answer["Content-Length"]) == len(answer.content)


def test_another_hosts_name_is_refused(machine: Client) -> None:
    answer = machine.post(PATH, b"{}", content_type="application/json", HTTP_HOST="elsewhere.example")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"CONTENT_LENGTH": "99999999999"}, 413),
        ({"CONTENT_LENGTH": "-1"}, 400),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"QUERY_STRING": "a=%00"}, 400),
    ],
)
def test_what_intake_refuses_is_refused_here(machine: Client, headers: dict[str, str], status: int) -> None:
    extra: dict[str, Any] = {**headers}
    answer = machine.post(PATH, b"{}", content_type="application/json", **extra)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


def test_a_session_goes_the_long_way_and_needs_its_csrf_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person("engineer", "ml_engineer"))
    answer = browser.post(PATH, json.dumps({"features": {}}), content_type="application/json")
    assert answer.status_code == 403
    assert "script-src" in answer["Content-Security-Policy"]


READS = ("/api/v1/models", "/api/v1/models/claims", "/api/v1/models/claims/1.0.0", "/api/v1/jobs/x", "/api/v1/nowhere")


@pytest.mark.parametrize("path", READS)
def test_each_endpoint_answers_a_token_as_it_answers_a_session(path: str) -> None:
    author = Actor.of(person("author", "ml_engineer"))
    model = services.create_model(actor=author, name="claims", task_type="classification")
    services.register_version(model, actor=author, candidate=candidate())
    viewer = person("viewer", "viewer")
    by_token, by_session = Client(headers=bearer(viewer)), Client()
    by_session.force_login(viewer)
    short, long = by_token.get(path), by_session.get(path)
    assert (short.status_code, short["Content-Type"], short.content) == (
        long.status_code, long["Content-Type"], long.content,
    )  # fmt: skip
    assert "script-src" in long["Content-Security-Policy"]
    assert short["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (short["X-Frame-Options"], short["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert int(short["Content-Length"]) == len(short.content)
    assert not short.cookies


@pytest.mark.parametrize("path", [*READS, "/api/v1/models/claims/predict"])
@pytest.mark.parametrize("said", ["Bearer", "Bearer ", "bearer x", "Bearer stw_0123456789_" + "a" * 43])
def test_who_says_a_wrong_token_is_nobody_whatever_session_there_is(path: str, said: str) -> None:
    browser = Client(headers={"Authorization": said})
    browser.force_login(person("engineer", "ml_engineer"))
    assert browser.get(path).status_code == (404 if path in READS[3:] else 401)


def test_a_token_ends_at_once(machine: Client) -> None:
    path = "/api/v1/models/claims/schema"
    assert machine.get(path).status_code == 404
    Token.objects.update(revoked_at=timezone.now())
    assert machine.get(path).status_code == 401
    Token.objects.update(revoked_at=None, expires_at=timezone.now() - timedelta(seconds=1))
    assert machine.get(path).status_code == 401


def test_what_fails_is_an_error_below_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("registry.selectors.model_lines", broken)
    client = Client(headers=bearer(person("viewer", "viewer")), raise_request_exception=False)
    answer = client.get("/api/v1/models")
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert b"secret" not in answer.content
    assert answer["X-Frame-Options"] == "DENY"
