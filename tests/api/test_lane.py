"""The short way of a prediction refuses what the long way refuses, and says who may read its answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tests.people import bearer, person

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
