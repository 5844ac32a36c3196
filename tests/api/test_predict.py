"""POST /models/{name}/predict over HTTP: the contract, the limits, who may."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mlops_site.api import serializers
from mlops_site.api.predict import read
from mlops_site.core import tokens
from mlops_site.core.errors import Invalid
from mlops_site.core.models import Membership, Token, User
from mlops_site.core.permissions import Actor
from monitoring.models import Prediction
from registry import services
from registry.artifacts import scorer
from registry.models import Version
from tests.kept import kept_fixture
from tests.people import actor, bearer, person
from tests.registry.parts import explained, into_production

pytestmark = pytest.mark.django_db
PATH = "/api/v1/models/high_cost/predict"
FEATURES = {"age": 51.5, "visits": 3}


@kept_fixture
def served(db: None) -> Version:
    author = actor("author", "ml_engineer")
    model = services.create_model(actor=author, name="high_cost", task_type="classification")
    return into_production(model, author=author, approver=actor("approver", "approver"), seed=0)


@pytest.fixture
def machine(served: Version) -> Client:
    return Client(headers=bearer(person("claims-app", "service")))


def post(client: Client, body: Any, path: str = PATH, **options: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, data, content_type=options.pop("content_type", "application/json"), **options)


def test_one_row(machine: Client) -> None:
    answer = post(machine, {"features": FEATURES, "request_id": "r1", "unit_id": "claim 7"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    said = answer.json()
    row = Prediction.objects.get()
    assert said == {
        "model": "high_cost",
        "version": "1.0.0",
        "arm": "production",
        "predictions": [
            {
                "prediction_id": str(row.pk),
                "request_id": "r1",
                "version": "1.0.0",
                "arm": "production",
                "prediction": row.prediction,
                "score": row.score,
                "probabilities": None,
                "decision": row.decision,
                "threshold": 0.5,
                "duplicate": False,
            }
        ],
    }
    again = post(machine, {"features": FEATURES, "request_id": "r1", "unit_id": "claim 7"}).json()["predictions"][0]
    assert again == {**said["predictions"][0], "duplicate": True}


def test_the_documented_fields_are_the_answered_ones(machine: Client) -> None:
    said = post(machine, {"features": FEATURES}).json()
    assert set(said) == set(serializers.PredictAnswer().fields) - {"deprecated"}  # of a version that is, only
    only_where_asked = {"reasons", "explanation", "completed"}
    assert set(said["predictions"][0]) == set(serializers.PredictionAnswer().fields) - only_where_asked


def test_reasons_are_answered_where_they_are_asked_for(machine: Client, served: Version) -> None:
    author, approver = (Actor.of(User.objects.get(username=name)) for name in ("author", "approver"))
    into_production(served.model, author=author, approver=approver, seed=1, params={"C": 2.0}, **explained(1))
    said = post(machine, {"rows": [{"features": FEATURES}, {"features": FEATURES}], "reasons": 1}).json()
    for answer in said["predictions"]:
        assert set(answer) == set(serializers.PredictionAnswer().fields) - {"completed"}
        assert set(answer["explanation"]) == set(serializers.ExplainedAnswer().fields)
        (reason,) = answer["reasons"]
        assert set(reason) == set(serializers.ReasonAnswer().fields)
        assert (reason["feature"], reason["value"]) == ("age", FEATURES["age"])


@pytest.mark.parametrize(
    ("body", "is_good"),
    [
        ({"features": {}}, True),
        ({"unit_id": "u"}, True),
        ({"features": {}, "request_id": "r", "unit_id": "u", "version": "1.0.0", "dry_run": True}, True),
        ({"features": {}, "request_id": None, "unit_id": None, "version": None}, True),
        ({"features": []}, False),
        ({}, False),
        ({"features": {}, "reasons": 3}, True),
        ({"features": {}, "reasons": 0}, False),
        ({"features": {}, "reasons": "all"}, False),
        ({"features": {}, "reason": 3}, False),
    ],
)
def test_the_documented_body_is_the_accepted_one(body: dict[str, Any], is_good: bool) -> None:
    assert serializers.PredictOne(data=body).is_valid() == is_good
    with nullcontext() if is_good else pytest.raises(Invalid):
        read(body)


def test_rows(machine: Client) -> None:
    rows = [{"features": {"age": age, "visits": 1}, "request_id": f"r{age}"} for age in range(20, 60)]
    said = post(machine, {"rows": rows}).json()
    assert [p["request_id"] for p in said["predictions"]] == [row["request_id"] for row in rows]
    assert Prediction.objects.count() == 40


def test_a_dry_run_is_not_logged(machine: Client) -> None:
    said = post(machine, {"features": FEATURES, "dry_run": True}).json()
    assert said["predictions"][0]["prediction_id"] is None
    assert not Prediction.objects.exists()


def test_the_sample_of_the_schema_is_accepted(machine: Client) -> None:
    schema = machine.get("/api/v1/models/high_cost/schema").json()
    assert post(machine, {"features": schema["sample"]}).status_code == 200
    assert post(machine, {"features": schema["features"]["examples"][0], "dry_run": True}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ([], 422, "wrong_type", ""),
        ("x", 422, "wrong_type", ""),
        (None, 422, "wrong_type", ""),
        ({}, 422, "required", "features"),
        ({"features": [1]}, 422, "wrong_type", "features"),
        ({"features": FEATURES, "reason": 3}, 422, "unknown_field", "reason"),
        ({"features": FEATURES, "reasons": True}, 422, "wrong_type", "reasons"),
        ({"features": FEATURES, "reasons": 2.5}, 422, "wrong_type", "reasons"),
        ({"features": FEATURES, "reasons": 51}, 422, "out_of_range", "reasons"),
        ({"rows": [{"features": FEATURES}] * 21, "reasons": 1}, 422, "too_many_rows", "reasons"),
        ({"features": FEATURES, "reasons": 1}, 409, "no_background", "reasons"),
        ({"features": FEATURES, "model": "x"}, 422, "unknown_field", "model"),
        ({"features": FEATURES, "request_id": 7}, 422, "wrong_type", "request_id"),
        ({"features": FEATURES, "request_id": ""}, 422, "wrong_type", "request_id"),
        ({"features": FEATURES, "request_id": "x" * 129}, 422, "wrong_type", "request_id"),
        ({"features": FEATURES, "unit_id": "a\nb"}, 422, "wrong_type", "unit_id"),
        ({"features": FEATURES, "dry_run": "yes"}, 422, "wrong_type", "dry_run"),
        ({"features": FEATURES, "dry_run": 1}, 422, "wrong_type", "dry_run"),
        ({"features": FEATURES, "version": 1}, 422, "wrong_type", "version"),
        ({"features": FEATURES, "version": "7.0.0"}, 404, "unknown_version", "version"),
        ({"features": FEATURES, "rows": []}, 422, "unknown_field", "features"),
        ({"rows": []}, 422, "wrong_type", "rows"),
        ({"rows": {}}, 422, "wrong_type", "rows"),
        ({"rows": [[]]}, 422, "wrong_type", "rows[0]"),
        ({"rows": [{"features": FEATURES}, {}]}, 422, "required", "rows[1].features"),
        ({"rows": [{"features": FEATURES, "version": "1.0.0"}]}, 422, "unknown_field", "rows[0].version"),
        ({"rows": [{"features": FEATURES}] * 1001}, 413, "too_many_rows", "rows"),
        ({"features": {**FEATURES, "age": None}}, 422, "bad_features", "features.age"),
        ({"features": {**FEATURES, "age": "51"}}, 422, "bad_features", "features.age"),
        ({"features": {"age": 1}}, 422, "bad_features", "features.visits"),
        ({"features": {**FEATURES, "more": 1}}, 422, "bad_features", "features.more"),
        ({"rows": [{"features": FEATURES}, {"features": {"age": 1}}]}, 422, "bad_features", "rows[1].features.visits"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_logged(
    machine: Client, body: Any, status: int, code: str, field: str
) -> None:
    answer = post(machine, body)
    said = answer.json()
    assert (answer.status_code, said["code"], said["errors"][0]["field"]) == (status, code, field)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b'{"features": {"age": NaN, "visits": 1}}', 400),
        (b'{"features": {"age": 1e400, "visits": 1}}', 400),
        (b'{"features": {"age": 1, "age": 2, "visits": 1}}', 400),
        (b'{"features": {"age": "\\u0000", "visits": 1}}', 400),
        (b'{"features": {"\\ud800": 1}}', 400),
        (b'{"features": ' + b"[" * 1000 + b"]" * 1000 + b"}", 400),
        (b'{"features": {"age": 1' + b"0" * 300 + b', "visits": 1}}', 422),
        (b"\xff\xfe", 400),
    ],
)
def test_what_is_not_json_is_malformed(machine: Client, data: bytes, status: int) -> None:
    answer = post(machine, data)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_the_body_is_bounded(machine: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = post(machine, {"features": {"x": "y" * 2000}})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_thousand_rows_are_fine(machine: Client) -> None:
    assert post(machine, {"rows": [{"features": FEATURES}] * 1000}).status_code == 200
    assert Prediction.objects.count() == 1000


def test_methods_and_media_types(machine: Client) -> None:
    assert machine.get(PATH).status_code == machine.put(PATH).status_code == 405
    assert post(machine, {"features": FEATURES}, content_type="text/plain").status_code == 415


@pytest.mark.parametrize("name", ["No-Such", "no%00", "../x", "x" * 64, "high_cost%2f"])
def test_a_name_of_another_form_is_no_address(machine: Client, name: str) -> None:
    answer = post(machine, {"features": FEATURES}, path=f"/api/v1/models/{name}/predict")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


class TestWho:
    def test_a_stranger(self, served: Version) -> None:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
            for answer in (post(Client(headers=headers), {"features": FEATURES}), Client(headers=headers).get(PATH)):
                assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")

    def test_a_viewer_is_refused_and_an_outsider_sees_nothing(self, served: Version) -> None:
        viewer, outsider = person("vera", "viewer"), person("zoe", "service", team="others")
        answers = [post(Client(headers=bearer(who)), {"features": FEATURES}) for who in (viewer, outsider)]
        assert [(a.status_code, a.json()["code"]) for a in answers] == [(403, "forbidden"), (404, "unknown_model")]

    def test_a_token_without_the_scope(self, served: Version) -> None:
        narrow = bearer(person("claims-app", "service"), scopes=("label.log",))
        answer = post(Client(headers=narrow), {"features": FEATURES})
        assert answer.status_code == 403
        assert "scopes leave it out" in answer.json()["detail"]

    def test_a_revoked_token_ends_at_once(self, served: Version) -> None:
        user = person("claims-app", "service")
        token, text = tokens.create_token(user)
        client = Client(headers={"Authorization": f"Bearer {text}"})
        assert post(client, {"features": FEATURES}).status_code == 200
        tokens.revoke_token(token, actor=actor("claims-app", "service"))
        assert post(client, {"features": FEATURES}).status_code == 401

    def test_a_session_needs_its_csrf_token(self, served: Version) -> None:
        client = Client(enforce_csrf_checks=True)
        engineer = User.objects.get(username="author")
        client.force_login(engineer, backend="django.contrib.auth.backends.ModelBackend")
        answer = post(client, {"features": FEATURES})
        assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")
        client.cookies["csrftoken"] = "c" * 32
        assert post(client, {"features": FEATURES}, headers={"X-CSRFToken": "c" * 32}).status_code == 200


@pytest.mark.parametrize(
    ("body", "count"), [({"features": FEATURES}, 2), ({"features": FEATURES, "request_id": "r"}, 3)]
)
def test_three_queries_at_most(machine: Client, body: dict[str, Any], count: int) -> None:
    """Token and version, first answers if the caller named the request, insert."""
    post(machine, {"features": FEATURES, "dry_run": True})
    with CaptureQueriesContext(connection) as queries:
        assert post(machine, body).status_code == 200
    said = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(said) == count, said


class TestAtOnce:
    """The token and the version are read by one query: what it accepts is what the two would."""

    def test_a_live_token_of_the_team_does_not_lend_its_life_to_another(self, machine: Client, served: Version) -> None:
        for change in ({"revoked_at": timezone.now()}, {"expires_at": timezone.now()}):
            token, text = tokens.create_token(User.objects.get(username="claims-app"))
            dead = Client(headers={"authorization": f"Bearer {text}"})
            assert post(dead, {"features": FEATURES}).status_code == 200
            Token.objects.filter(pk=token.pk).update(**change)
            assert post(dead, {"features": FEATURES}).status_code == 401
        assert post(machine, {"features": FEATURES}).status_code == 200

    def test_the_prefix_alone_opens_nothing(self, machine: Client) -> None:
        _, text = tokens.create_token(User.objects.get(username="claims-app"))
        forged = Client(headers={"authorization": f"Bearer {text[:-43]}{'A' * 43}"})
        assert post(forged, {"features": FEATURES}).status_code == 401

    def test_somebody_who_left_the_team_is_out_at_once(self, machine: Client) -> None:
        Membership.objects.filter(user__username="claims-app").delete()
        assert post(machine, {"features": FEATURES}).status_code == 401

    def test_a_narrow_token_and_another_team_get_nothing(self, served: Version) -> None:
        narrow = Client(headers=bearer(person("reader", "service"), scopes=("schema.view",)))
        assert post(narrow, {"features": FEATURES}).status_code == 403
        other = Client(headers=bearer(person("stranger", "service", team="other")))
        assert post(other, {"features": FEATURES}).status_code == 404


def test_a_damaged_artifact_answers_nothing(machine: Client, served: Version) -> None:
    path = Path(storages["artifacts"].path(f"{served.artifact_id[:2]}/{served.artifact_id}"))
    path.write_bytes(b"damaged" + path.read_bytes())
    scorer._cache().clear()
    answer = post(machine, {"features": FEATURES})
    assert (answer.status_code, answer.json()["code"]) == (500, "artifact_damaged")
    assert not Prediction.objects.exists()
