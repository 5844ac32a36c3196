"""The REST face of the registry: its answers, its refusals, and how many queries a list takes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry import services
from registry.models import PromotionRequest, RegisteredModel, Version
from tests.people import actor as person
from tests.registry.http import API, Person
from tests.registry.parts import candidate, into_production
from tests.registry.test_stages import damage


def test_a_model_is_made_listed_and_edited(engineer: Person, decider: Person, stranger: Person) -> None:
    body = {"name": "claims", "task_type": "classification", "risk_tier": "high", "auto_deploy": "none"}
    status, made = engineer.post("/models", body)
    assert (status, made["team"], made["auto_deploy"]["reach"]) == (201, "claims", "none")
    assert engineer.post("/models", body)[0] == 409
    status, page = decider.get("/models", search="cla", ordering="-updated_at")
    assert (status, page["count"], page["next"], page["previous"]) == (200, 1, None, None)
    assert page["results"][0] == {key: made[key] for key in page["results"][0]}
    assert stranger.get("/models")[1]["count"] == 0
    assert stranger.get("/models/claims")[0] == 404
    status, edited = decider.patch(
        "/models/claims", {"risk_tier": "medium", "auto_deploy": "production", "reason": "safe"}
    )
    assert (status, edited["risk_tier"], edited["auto_deploy"]["reach"]) == (200, "medium", "production")
    assert engineer.patch("/models/claims", {"risk_tier": "low"})[0] == 403
    assert engineer.patch("/models/claims", {"description": "x", "auto_deploy": "production", "reason": "x"})[0] == 403
    assert engineer.get("/models/claims")[1]["description"] == ""  # one transaction: all of it or nothing


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"name": "claims"}, "task_type", "required"),
        ({"name": "../x", "task_type": "classification"}, "name", "bad_name"),
        ({"name": "claims", "task_type": "classification", "teem": "x"}, "teem", "unknown_field"),
        ({"name": ["claims"], "task_type": "classification"}, "name", "invalid"),
        ({"name": "claims", "task_type": "classification", "team": "elsewhere"}, "team", "unknown_team"),
    ],
)
def test_a_wrong_body_names_the_field(engineer: Person, body: dict[str, Any], field: str, code: str) -> None:
    status, problem = engineer.post("/models", body)
    assert status == 422
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]
    assert not RegisteredModel.objects.exists()


@pytest.mark.parametrize("query", [{"stage": "prod"}, {"ordering": "owner__password"}, {"nothing": "1"}])
def test_a_wrong_filter_names_the_field(engineer: Person, query: dict[str, str]) -> None:
    status, problem = engineer.get("/models", **query)
    assert status == 422
    assert problem["errors"][0]["field"] == next(iter(query))
    assert engineer.get("/approvals", status="maybe")[0] == 422
    assert engineer.get("/models", page="nine")[0] == 404


def test_the_way_into_production_and_back(
    version: Version, model: RegisteredModel, author: Actor, approver: Actor, engineer: Person, decider: Person
) -> None:
    path = "/models/claims/1.0.0/promote"
    status, problem = engineer.post(path, {"target_stage": "production", "reason": "x"})
    assert (status, problem["code"]) == (409, "illegal_move")
    assert "is in development" in problem["detail"]
    status, moved = engineer.post(path, {"target_stage": "staging", "reason": "x"})
    assert (status, moved) == (
        200,
        {"status": "promoted", "version": "1.0.0", "stage": "staging", "request": None, "warnings": []},
    )
    status, asked = engineer.post(path, {"target_stage": "production", "reason": "better"})
    assert (status, asked["status"], asked["stage"]) == (202, "pending_approval", "staging")
    request = asked["request"]
    status, refused = engineer.post(f"/approvals/{request['id']}/approve", {"comment": "mine"})
    assert (status, refused["code"]) == (403, "four_eyes")
    status, found = decider.get("/approvals", status="pending")
    assert (found["count"], found["results"][0]["may_decide"]["may"]) == (1, True)
    status, done = decider.post(f"/approvals/{request['id']}/approve", {"comment": "read"})
    assert (status, done["status"], done["evidence_digest"]) == (200, "approved", request["evidence_digest"])
    assert [(r["reviewer"], r["decision"], r["comment"]) for r in done["reviews"]] == [("approver", "approve", "read")]
    detail = engineer.get("/models/claims")[1]
    assert (detail["production"]["version"], detail["stages"], detail["open_requests"]) == (
        "1.0.0", {"production": "1.0.0"}, [],
    )  # fmt: skip
    status, nothing = decider.post("/models/claims/rollback", {"reason": "x"})
    assert (status, nothing["code"]) == (409, "nothing_to_roll_back_to")
    into_production(model, author=author, approver=approver, seed=1)
    assert engineer.post("/models/claims/rollback", {"reason": "x"})[0] == 403
    assert decider.post("/models/claims/rollback", {})[1]["errors"][0]["field"] == "reason"
    status, back = decider.post("/models/claims/rollback", {"reason": "false alarms"})
    assert (status, back["version"], back["replaced"]) == (200, "1.0.0", "1.0.1")
    assert decider.get(f"/incidents/{back['incident']}")[1]["version"] == "1.0.1"


def test_a_rollback_to_a_damaged_version_is_a_conflict(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor, decider: Person
) -> None:
    into_production(model, author=author, approver=approver, seed=1)
    damage(served.artifact_id)
    status, problem = decider.post("/models/claims/rollback", {"reason": "x"})
    assert (status, problem["code"]) == (409, "preflight_failed")


@pytest.mark.parametrize(
    ("word", "status"), [("reject", "rejected"), ("request-changes", "changes_requested"), ("withdraw", "withdrawn")]
)
def test_the_other_ways_to_close_a_request(
    request_: PromotionRequest, engineer: Person, decider: Person, stranger: Person, word: str, status: str
) -> None:
    path = f"/approvals/{request_.pk}/{word}"
    assert stranger.post(path, {"comment": "x"})[0] == 404
    who, other = (engineer, decider) if word == "withdraw" else (decider, engineer)
    assert other.post(path, {"comment": "x"})[0] == 403
    code, done = who.post(path, {"comment": "site 5"})
    assert (code, done["status"]) == (200, status)
    code, problem = who.post(path, {"comment": "again"})
    assert (code, problem["code"]) == (409, "request_closed")


def test_the_same_approval_sent_twice_with_a_key_is_one(request_: PromotionRequest, decider: Person) -> None:
    path, key = f"/approvals/{request_.pk}/approve", {"Idempotency-Key": "k1"}
    first = decider.post(path, {"comment": "x"}, **key)
    assert decider.post(path, {"comment": "x"}, **key) == first
    assert AuditRecord.objects.filter(action="promotion.approved").count() == 1


def test_a_refusal_under_a_key_is_kept_in_the_audit_chain(request_: PromotionRequest, engineer: Person) -> None:
    path = f"/approvals/{request_.pk}/approve"
    assert engineer.post(path, {}, **{"Idempotency-Key": "k2"})[1]["code"] == "four_eyes"
    assert AuditRecord.objects.filter(action="promotion.review.refused").count() == 1


def test_the_schema_and_a_sample(version: Version, engineer: Person) -> None:
    machine = Person(person("claims-app", "service"))
    status, said = machine.get("/models/claims/schema")
    assert (status, said["version"], said["features"]["required"]) == (200, "1.0.0", ["age", "visits"])
    assert said["sample"] == {"age": 0.0, "visits": 0.0} == said["features"]["examples"][0]
    assert machine.get("/models/claims")[0] == 404  # a machine sees what predict takes, and no more
    assert engineer.get("/models/claims/schema", version="9.0.0")[1]["code"] == "unknown_version"


def test_comparison(version: Version, model: RegisteredModel, author: Actor, engineer: Person) -> None:
    services.register_version(model, actor=author, candidate=candidate(1, metrics={"roc_auc": 0.8}))
    status, said = engineer.get("/models/claims/compare/1.0.0/1.0.1", diff_only="true")
    assert status == 200
    (auc,) = said["metrics"]
    assert (auc["v1"], auc["v2"], auc["better"]) == (0.75, 0.8, "v2")
    assert {name: said[name]["changed"] for name in ("params", "signature", "dataset", "artifact")} == {
        "params": False, "signature": False, "dataset": False, "artifact": True,
    }  # fmt: skip
    assert engineer.get("/models/claims/compare/1.0.0/7.0.0")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/models/..%2f..%2fetc%2fpasswd", "/models/%00", "/models/Claims", "/models/claims/1.0",
        "/models/claims/latest", "/models/claims/01.0.0", "/models/claims/1.0.0%0a",
        "/models/claims/1.0.%D9%A3", "/models/claims/../x", "/models/claims/compare/1.0.0/..", "/approvals/-1",
        "/approvals/99999999999999999999", "/approvals/1e3", "/models/claims/99999999999.0.0",
        "/models/claims/999999999.0.0",
    ],
)  # fmt: skip
def test_tricks_in_a_path_are_not_found(version: Version, engineer: Person, path: str) -> None:
    assert engineer._client.get(API + path).status_code == 404


def test_lists_take_as_many_queries_for_many_rows_as_for_one(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor, decider: Person
) -> None:
    paths = ("/models", "/models/claims/versions", "/approvals")

    def queries() -> list[int]:
        counts = []
        for path in paths:
            with CaptureQueriesContext(connection) as captured:
                assert decider.get(path)[0] == 200
            counts.append(len(captured))
        return counts

    queries()  # the first request of a token also notes its use
    before = queries()
    for seed in range(1, 5):
        into_production(model, author=author, approver=approver, seed=seed)
        services.create_model(actor=author, name=f"model_{seed}", task_type="regression")
    assert queries() == before
    assert max(before) <= 6
