"""What is refused by its address and headers, before anything reads it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

MB = 2**20
FORM = "multipart/form-data; boundary=x"


class Unread(io.BytesIO):
    """A body that must not be touched."""

    def read(self, *args: Any) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def send(path: str, **headers: Any) -> Any:
    """A form whose CSRF cookie makes Django's check look for its token inside."""
    client = Client(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "c" * 32
    return client.generic("POST", path, b"", content_type=FORM, **{"wsgi.input": Unread(), **headers})


@pytest.mark.parametrize(
    ("path", "allowed_mb", "field"),
    [
        ("/admin/login/", 16, None),
        ("/", 16, None),
        ("/new/model", 16, None),
        ("/new/dataset", 116, "file"),
        ("/admin/core/token/add/", 16, None),
        ("/api/v1/models", 16, None),
        ("/api/v1/models/some_model/predict", 16, None),
        ("/api/v1/models/some_model/versions", 116, "artifact"),
        ("/api/v1/datasets", 116, "file"),
    ],
)
def test_a_body_beyond_its_limit_is_refused_unread(path: str, allowed_mb: int, field: str | None, db: None) -> None:
    answer = send(path, CONTENT_LENGTH=str(allowed_mb * MB + 1))
    said = answer.json()
    assert (answer.status_code, said["code"]) == (413, "too_large")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in said.get("errors", [])] == ([field] if field else [])
    assert f"at most {allowed_mb * MB:,} bytes but has {allowed_mb * MB + 1:,}" in said["detail"]


@pytest.mark.parametrize("path", ["/admin/login/", "/new/dataset", "/api/v1/models", "/api/v1/datasets"])
def test_chunks_without_a_length_are_refused_unread(path: str, db: None) -> None:
    answer = send(path, HTTP_TRANSFER_ENCODING="chunked")
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


@pytest.mark.parametrize("length", ["-1", "1e9", "x", "٣", "9" * 19])
def test_a_length_that_is_none_is_malformed(length: str, db: None) -> None:
    assert send("/api/v1/models", CONTENT_LENGTH=length).status_code == 400


def test_what_is_within_its_limit_goes_on(db: None) -> None:
    answer = Client().post(reverse("admin:login"), {"username": "x", "password": "y"})
    assert answer.status_code == 200
    assert Client().post("/api/v1/datasets", {"name": "x"}).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/models/%00",
        "/models/x%00/1.0.0",
        "/runs?model=%00",
        "/api/v1/models?search=a%00",
        "/admin/registry/promotionrequest/?status__exact=%00",
        "/admin/login/?next=%00",
    ],
)
def test_an_address_with_a_nul_is_malformed(path: str, db: None) -> None:
    answer = Client().get(path)
    assert (answer.status_code, answer.json()["detail"]) == (400, "the address must not contain the character NUL")


def test_a_percent_sign_before_two_zeros_is_none(db: None) -> None:
    assert Client().get("/admin/login/?next=/runs%3Fmodel%3D%2500").status_code == 200
