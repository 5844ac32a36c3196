"""Logging over HTTP: the documented answers, and one clear problem for each bad body."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from monitoring.api import serializers
from monitoring.models import Label, Prediction
from monitoring.services import fields, labels
from registry import services
from tests.monitoring.production import watched
from tests.people import actor, bearer, person

pytestmark = pytest.mark.django_db
LINES = "application/x-ndjson"


@pytest.fixture
def machine(db: None) -> Client:
    author = actor("author", "ml_engineer")
    watched(services.create_model(actor=author, name="high_cost", task_type="classification"), author)
    return Client(headers=bearer(person("claims-app", "service")))


def row(n: int = 0, **changes: Any) -> dict[str, Any]:
    said = {"model_name": "high_cost", "model_version": "1.0.0", "request_id": f"r{n}", "features": {"age": n}}
    return {**said, "prediction": n % 2, "score": 0.5, **changes}


def label(n: int = 0, value: Any = 1) -> dict[str, Any]:
    return {"model_name": "high_cost", "request_id": f"r{n}", "label": value}


def post(client: Client, path: str, body: Any, content_type: str = "application/json", **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"/api/v1/monitoring/{path}", data, content_type=content_type, headers=headers)


def lines(*rows: Any) -> bytes:
    return b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in rows) + b"\n"


def test_one(machine: Client) -> None:
    first = post(machine, "log-prediction", row())
    kept = Prediction.objects.get()
    assert (first.status_code, first.json()) == (201, {"prediction_id": str(kept.pk), "duplicate": False})
    again = post(machine, "log-prediction", row())
    assert (again.status_code, again.json()) == (201, {"prediction_id": str(kept.pk), "duplicate": True})
    other = post(machine, "log-prediction", row(score=0.1))
    assert (other.status_code, other.json()["code"]) == (409, "request_id_conflict")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (row(model_name="absent"), 404, "unknown_model"),
        (row(model_version="9.0.0"), 404, "unknown_version"),
        (row(score=7), 422, "out_of_range"),
        ([row()], 422, "wrong_type"),
        (b"[" * 1000 + b"]" * 1000, 400, "too_deep"),
        (b'{"features": {"age": NaN}}', 400, "malformed"),
        (b'{"features": {"age": 1e400}}', 400, "malformed"),
        (b"", 422, "required"),
    ],
)
def test_one_at_fault(machine: Client, body: Any, status: int, code: str) -> None:
    answer = post(machine, "log-prediction", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not Prediction.objects.exists()


def test_a_batch_of_predictions_and_of_labels(machine: Client) -> None:
    answer = post(machine, "log-predictions", [row(0), row(0), row(1), row(2, prediction="x")])
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 2,
        "duplicate": 1,
        "rejected": [
            {
                "index": 3,
                "code": "unfit_prediction",
                "field": "prediction",
                "message": "prediction must be one of 0, 1 but got 'x'",
            }
        ],
    }
    truth = post(machine, "ground-truth", [label(0), label(0), label(1, 7), label(9)]).json()
    assert (truth["accepted"], truth["duplicate"], [r["index"] for r in truth["rejected"]]) == (2, 1, [2])


def test_lines_are_read_one_by_one(machine: Client) -> None:
    nan = b'{"features": {"age": NaN}}'
    deep = b"[" * 1000 + b"]" * 1000
    sent = lines(row(0), nan, b'{"x": 1e400}', b"", deep, b"\xff", b'{"a": 1, "a": 2}', b'"\\u0000"', row(1))
    answer = post(machine, "log-predictions", sent, LINES).json()
    assert (answer["accepted"], answer["duplicate"]) == (2, 0)
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == [
        (1, "malformed"),
        (2, "malformed"),
        (3, "too_deep"),
        (4, "malformed"),
        (5, "malformed"),
        (6, "malformed"),
    ]
    assert post(machine, "ground-truth", lines(label(0), label(1)), LINES).json()["accepted"] == 2


@pytest.mark.parametrize("path", ["log-predictions", "ground-truth"])
class TestBatches:
    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ([], 422, "wrong_type"),
            ({}, 422, "wrong_type"),
            ([{}], 422, "no_good_row"),
            ([[]], 422, "no_good_row"),
            ([None] * 10_001, 413, "too_many_rows"),
            (b"[" * 1000 + b"]" * 1000, 400, "too_deep"),
            (b'[{"label": NaN}]', 400, "malformed"),
            (b"[1, 2", 400, "malformed"),
        ],
    )
    def test_one_clear_problem(self, machine: Client, path: str, body: Any, status: int, code: str) -> None:
        answer = post(machine, path, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert not Prediction.objects.exists()
        assert not Label.objects.exists()

    def test_no_line_at_all(self, machine: Client, path: str) -> None:
        assert post(machine, path, b"\n\n", LINES).status_code == 422

    def test_too_many_lines(self, machine: Client, path: str) -> None:
        assert post(machine, path, b"1\n" * 10_001, LINES).json()["code"] == "too_many_rows"

    def test_the_body_is_bounded(self, machine: Client, path: str, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        for content_type in ("application/json", LINES):
            assert post(machine, path, b"[" + b" " * 2000 + b"]", content_type).status_code == 413

    def test_another_media_type(self, machine: Client, path: str) -> None:
        assert post(machine, path, b"a,b", "text/csv").status_code == 415

    def test_who_may(self, machine: Client, path: str) -> None:
        body = [row()] if path == "log-predictions" else [label()]
        scope = "label.log" if path == "log-predictions" else "prediction.log"
        narrow = bearer(person("claims-app", "service"), scopes=(scope,))
        outsider = bearer(person("zoe", "service", team="others"))
        answers = [post(Client(headers=headers), path, body) for headers in (narrow, outsider, {})]
        assert [answer.status_code for answer in answers] == [403, 422, 401]
        assert answers[1].json()["errors"][0]["code"] == "unknown_model"


def test_the_same_key_gets_the_first_answer(machine: Client) -> None:
    first = post(machine, "log-predictions", [row()], **{"Idempotency-Key": "k"})
    again = post(machine, "log-predictions", [row()], **{"Idempotency-Key": "k"})
    assert first.json() == again.json() == {"accepted": 1, "duplicate": 0, "rejected": []}


def test_ten_thousand_rows(machine: Client) -> None:
    assert post(machine, "log-predictions", [row(n) for n in range(10_000)]).json()["accepted"] == 10_000
    assert post(machine, "ground-truth", [label(n, n % 2) for n in range(10_000)]).json()["accepted"] == 10_000


def test_the_documented_fields_are_the_accepted_ones() -> None:
    assert set(serializers.LoggedPrediction().fields) == fields.FIELDS
    assert set(serializers.GroundTruthRow().fields) == labels.FIELDS
