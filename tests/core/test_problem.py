"""Every refusal is application/problem+json with a stable code, the field at fault and the value sent."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from mlops_site.core.errors import Forbidden, StewardError
from mlops_site.core.models import User
from tests import people

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.endpoints")]

NOT_FINITE, NO_NUMBER = "must be a finite number but got True", "A valid number is required but got 'old'"


@pytest.fixture
def eve() -> User:
    return people.person("eve", "viewer")


@pytest.fixture
def client(eve: User) -> Client:
    return Client(headers=people.bearer(eve))


@pytest.mark.parametrize(
    ("kind", "status", "title", "code", "detail"),
    [
        ("malformed", 400, "Malformed request", "malformed", "bad"),
        ("unauthenticated", 401, "Not authenticated", "not_authenticated", "who"),
        ("forbidden", 403, "Not allowed", "forbidden", "no"),
        ("not-found", 404, "Not found", "not_found", "where"),
        ("conflict", 409, "Wrong state", "already_ended", "late"),
        ("too-large", 413, "Too large", "too_large", "big"),
        ("invalid", 422, "Well-formed but wrong", "out_of_range", "age must be at least 0 but got -1"),
        ("too-many", 429, "Too many requests", "too_many_requests", "fast"),
        ("unavailable", 503, "Unavailable", "unavailable", "down"),
        ("django-404", 404, "Not found", "not_found", "no such thing here, or it belongs to another team"),
        ("django-403", 403, "Not allowed", "forbidden", "x"),
        ("django-400", 400, "Malformed request", "malformed", "x"),
        ("drf-405", 405, "Method Not Allowed", "method_not_allowed", 'Method "PUT" not allowed.'),
        (
            "drf-415",
            415,
            "Unsupported Media Type",
            "unsupported_media_type",
            'Unsupported media type "text/csv" in request.',
        ),
        ("drf-400", 400, "Malformed request", "malformed", "x"),
    ],
)
def test_the_shape(client: Client, kind: str, status: int, title: str, code: str, detail: str) -> None:
    answer = client.get(f"/wrong/{kind}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    said = answer.json()
    errors = said.pop("errors", [])
    urn = f"urn:steward:problem:{code}"
    assert said == {"type": urn, "title": title, "status": status, "code": code, "detail": detail}
    assert errors == ([{"field": "age", "code": code, "message": detail}] if kind == "invalid" else [])
    assert answer.headers.get("Retry-After") == ("7" if kind == "too-many" else None)


def test_every_class_of_errors_has_a_status_title_and_code_of_its_own() -> None:
    classes = StewardError.__subclasses__()
    assert Forbidden in classes
    assert len({c.default_code for c in classes}) == len({c.title for c in classes}) == len(classes)


def test_without_credentials_it_is_401() -> None:
    answer = Client().get("/wrong/malformed")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "bearer x", "Bearer stw_a_b", "Bearer \xe9"])
def test_a_bad_token_is_401(header: str) -> None:
    answer = Client(headers={"Authorization": header}).get("/wrong/malformed")
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_token")


def test_a_method_that_is_not_there_names_those_that_are(client: Client) -> None:
    answer = client.put("/echo", {}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


def echo(client: Client, body: Any) -> Any:
    return client.post("/echo", body, content_type="application/json")


@pytest.mark.parametrize(
    ("body", "field", "code", "message"),
    [
        ({"name": "x", "extra": 1}, "extra", "unknown_field", "unknown field; known: name, count, rows but got '1'"),
        ({}, "name", "required", "This field is required."),
        ({"name": None}, "name", "null", "This field may not be null."),
        ({"name": "a\x00b"}, "", "malformed", ""),
        (
            {"name": "a\x07b"},
            "name",
            "control_character",
            "must not contain control characters, seen or unseen, such as U+0007 but got 'a\\x07b'",
        ),
        ({"name": "x" * 2001}, "name", "max_length", ""),
        ({"name": "x", "count": "many"}, "count", "invalid", "A valid integer is required but got 'many'"),
        ({"name": "x", "count": 11}, "count", "max_value", ""),
        ({"name": "x", "rows": {}}, "rows", "not_a_list", 'Expected a list of items but got type "dict".'),
        ({"name": "x", "rows": [{"age": 1, "site": "a"}, {"age": 1}]}, "rows[1].site", "required", ""),
        ({"name": "x", "rows": [{"age": -1, "site": "a"}]}, "rows[0].age", "min_value", ""),
        ({"name": "x", "rows": [{"age": True, "site": "a"}]}, "rows[0].age", "not_finite", NOT_FINITE),
        ({"name": "x", "rows": [{"age": "old", "site": "a"}]}, "rows[0].age", "invalid", NO_NUMBER),
        ({"name": "x", "rows": [{"age": 10**300, "site": "a", "x": 0}]}, "rows[0].x", "unknown_field", ""),
        ([], "", "invalid", ""),
        ('"text"', "", "invalid", ""),
        ("text", "", "malformed", ""),
    ],
)  # fmt: skip
def test_a_wrong_body_names_field_code_and_value(
    client: Client, body: Any, field: str, code: str, message: str
) -> None:
    answer = echo(client, body)
    said = answer.json()
    if code == "malformed":
        assert (answer.status_code, said["code"]) == (400, "malformed")
        return
    assert answer.status_code == 422
    assert (said["errors"][0]["field"], said["errors"][0]["code"]) == (field, code)
    if message:
        assert said["errors"][0]["message"] == message
        assert said["detail"] == f"{field}: {message}"


def test_every_wrong_field_is_named(client: Client) -> None:
    rows = [{"age": "x", "site": "a"}] * 150
    said = echo(client, {"count": 11, "rows": rows}).json()
    assert [e["field"] for e in said["errors"]][:4] == ["name", "count", "rows[0].age", "rows[1].age"]
    assert len(said["errors"]) == 100


@pytest.mark.parametrize("address", ["/echo/a%00b", "/echo/a?page=%00", "/echo/a?%00=1"])
def test_a_nul_in_the_address_is_malformed(client: Client, address: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_another_media_type_is_refused(client: Client) -> None:
    answer = client.post("/echo", "a,b", content_type="text/csv")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
