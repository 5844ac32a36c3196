"""The endpoints of the quality gates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from tests.people import actor
from tests.training.api.conftest import Caller
from tests.training.claims import SMALL, claims
from training.models import DatasetVersion, GateReport, Run
from training.services import request_run

URL = "/api/v1/datasets/hie"
SOON = (datetime.now(UTC).date() + timedelta(days=20)).isoformat()
GAP = {"check": "schema_missing", "column": "age", "reason": "The source is being mended.", "until": SOON}


def post(client: Client, path: str, body: Any = None) -> Any:
    return client.post(path, body or {}, content_type="application/json")


@pytest.fixture
def engineers(calling: Caller, engineer: Actor) -> Client:
    return calling(engineer)


@pytest.fixture
def validators(calling: Caller, db: None) -> Client:
    return calling(actor("vito", "validator"))


def test_from_expectations_to_a_waived_run(
    client: Client,
    engineers: Client,
    validators: Client,
    upload: Callable[..., DatasetVersion],
    model: RegisteredModel,
) -> None:
    upload()
    made = post(engineers, f"{URL}/expectations/infer", {"version": 1})
    assert made.status_code == 201, made.content
    assert (made.json()["version"], made.json()["inferred_from"]) == (1, "hie@1")
    document = made.json()["document"]
    assert document["columns"]["plan"]["levels"]["severity"] == "warn"
    document["columns"]["plan"]["levels"]["severity"] = "block"
    edited = post(engineers, f"{URL}/expectations", {"document": document, "comment": "Plans are known."})
    assert (edited.status_code, edited.json()["version"]) == (201, 2)
    assert [row["version"] for row in client.get(f"{URL}/expectations").json()["results"]] == [2, 1]

    upload(claims().drop(columns="age").assign(plan="unheard of"), pii=["plan"])
    found = client.get(f"{URL}/2/gates").json()
    assert (found["stage"], found["passed"], found["expectations"]) == ("ingest", False, 2)
    assert found["blocked_by"] == ["schema_missing: age", "schema_levels: plan"]
    levels = next(check for check in found["checks"] if check["name"] == "schema_levels")
    assert (levels["where"], levels["samples"], levels["stage"]) == ([1, 2, 3, 4, 5], ["•••"] * 5, "ingest")
    assert levels["advice"]
    assert "unheard" not in str(found)

    start = {"model_name": model.name, "dataset": "hie@2", **SMALL}
    refused = post(client, "/api/v1/training/start", start)
    assert (refused.status_code, refused.json()["code"]) == (409, "data_blocked")
    assert refused.json()["errors"][0]["field"] == "dataset"
    waivers = [post(validators, f"{URL}/waivers", {**GAP, "check": name, "column": column}).json()
               for name, column in (("schema_missing", "age"), ("schema_levels", "plan"))]  # fmt: skip
    assert client.get(f"{URL}/2/gates").json()["passed"]
    assert post(client, "/api/v1/training/start", start).status_code == 202
    revoked = post(validators, f"/api/v1/waivers/{waivers[0]['id']}/revoke", {"reason": "Mended."})
    assert (revoked.status_code, revoked.json()["status"], revoked.json()["revoked_by"]) == (200, "revoked", "vito")
    assert post(validators, f"/api/v1/waivers/{waivers[0]['id']}/revoke", {"reason": "Mended."}).status_code == 409
    listed = client.get(f"{URL}/waivers").json()["results"]
    assert [row["status"] for row in listed] == ["in force", "revoked"]
    again = post(client, f"{URL}/2/gates")
    assert (again.status_code, again.json()["blocked_by"]) == (200, ["schema_missing: age"])


def test_a_run_tells_its_gates(
    client: Client, dataset: DatasetVersion, scientist: Actor, model: RegisteredModel
) -> None:
    run = request_run(actor=scientist, model_name=model.name, dataset=str(dataset), **SMALL)
    address = f"/api/v1/training/gates/{run.pk}"
    assert client.get(address).json() == []
    check = {"name": "target_copy", "column": "age", "severity": "block", "passed": False, "message": "A copy."}
    GateReport.objects.create(
        stage="training", dataset=dataset, run=run, attempt=1, passed=False, report={"rows": 300, "checks": [check]}
    )
    (found,) = client.get(address).json()
    assert (found["stage"], found["passed"], found["blocked_by"]) == ("training", False, ["target_copy: age"])
    assert found["checks"][0]["stage"] == "training"


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("expectations", {"document": {"columns": {"age": {"pattern": {"regex": "(", "severity": "warn"}}}},
                          "comment": "x"}, 422, "document.columns.age.pattern.regex"),
        ("expectations", {"document": [], "comment": "x"}, 422, "document"),
        ("expectations", {"document": {"cols": {}}, "comment": "x"}, 422, "document.cols"),
        ("expectations", {"document": {}}, 422, "comment"),
        ("expectations/infer", {"version": 9}, 404, "dataset"),
        ("expectations/infer", {"version": 0}, 422, "version"),
        ("expectations/infer", {"verison": 1}, 422, "verison"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_named(
    engineers: Client, dataset: DatasetVersion, path: str, body: Any, status: int, field: str
) -> None:
    answer = post(engineers, f"{URL}/{path}", body)
    assert answer.status_code == status, answer.content
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"until": "tomorrow"}, "until"), ({"until": "2999-01-01"}, "until"), ({"check": "usable_rows"}, "check"),
     ({"reason": ""}, "reason"), ({"column": "nowhere"}, "column"), ({"forever": True}, "forever")],
)  # fmt: skip
def test_a_wrong_waiver_is_named(
    validators: Client, dataset: DatasetVersion, changes: dict[str, Any], field: str
) -> None:
    answer = post(validators, f"{URL}/waivers", {**GAP, **changes})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_roles_and_other_teams(
    client: Client, engineers: Client, validators: Client, calling: Caller, outsider: Actor, dataset: DatasetVersion
) -> None:
    assert post(client, f"{URL}/waivers", GAP).status_code == 403
    assert post(engineers, f"{URL}/waivers", GAP).status_code == 403
    assert post(client, f"{URL}/expectations/infer", {"version": 1}).status_code == 403
    made = post(validators, f"{URL}/waivers", GAP)
    assert made.status_code == 201
    stranger = calling(outsider)
    for path in ("expectations", "waivers", "1/gates"):
        assert stranger.get(f"{URL}/{path}").status_code == 404
        assert calling(actor("vera", "viewer")).get(f"{URL}/{path}").status_code == 200
    assert post(stranger, f"/api/v1/waivers/{made.json()['id']}/revoke", {"reason": "x"}).status_code == 404
    assert post(client, f"/api/v1/waivers/{made.json()['id']}/revoke", {"reason": "x"}).status_code == 403
    assert post(calling(actor("vera", "viewer")), f"{URL}/1/gates").status_code == 403
    assert not Run.objects.exists()
