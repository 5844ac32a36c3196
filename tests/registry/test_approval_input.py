"""Bad input around approvals: a clear problem that names the field, and nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core.permissions import Actor
from registry.models import PromotionRequest, Review, Version
from tests.registry.http import Person
from tests.registry.parts import user

HOSTILE = [
    "\u202egood",
    "a\u2066b",
    "bell\x07",
    "nul\x00",
    "escape\x1b[31m",
    "x" * 10_000,
    " \n ",
    7e400,
    ["a"],
    {"a": 1},
]
PROMOTE = "/models/claims/1.0.0/promote"


def problem(answer: tuple[int, Any], field: str) -> None:
    status, said = answer
    assert status in (400, 422), said
    if status == 422:
        assert field in [error["field"] for error in said["errors"]], said


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text)[:20])
def test_free_text_of_a_request(staged: Version, engineer: Person, text: Any) -> None:
    if isinstance(text, float):
        text = "\ud800"  # half of a pair
    problem(engineer.post(PROMOTE, {"target_stage": "production", "reason": text}), "reason")
    said = {"target_stage": "production", "what_changed": "more data", "why_material": text}
    problem(engineer.post(PROMOTE, said), "why_material")
    assert not PromotionRequest.objects.exists()


@pytest.mark.parametrize("text", HOSTILE[:6], ids=lambda text: repr(text)[:20])
def test_free_text_of_a_decision(request_: PromotionRequest, decider: Person, approver: Actor, text: str) -> None:
    path = f"/approvals/{request_.pk}"
    for word in ("approve", "reject", "request-changes"):
        problem(decider.post(f"{path}/{word}", {"comment": text}), "comment")
    problem(decider.post(f"{path}/approve", {"condition": text, "revalidate_on": "2999-01-01"}), "condition")
    client = Client()
    client.force_login(user(approver))
    page = reverse("admin:registry_promotionrequest_change", args=[request_.pk])
    assert client.post(page, {"decision": "reject", "comment": text}).status_code == 422
    unchanged(request_)


@pytest.mark.parametrize(
    "day", ["2020-01-01", "2999-12-31", "9999-12-31", "0000-00-00", "tomorrow", "2027-02-30", 5, None, "", "2027-01"]
)
def test_days_of_revalidation(request_: PromotionRequest, decider: Person, day: Any) -> None:
    body = {"condition": "look again", "revalidate_on": day}
    problem(decider.post(f"/approvals/{request_.pk}/approve", body), "revalidate_on")
    unchanged(request_)


def test_two_questions_or_one_text(staged: Version, engineer: Person) -> None:
    production = {"target_stage": "production"}
    problem(engineer.post(PROMOTE, production), "reason")
    problem(engineer.post(PROMOTE, {**production, "what_changed": "more data"}), "why_material")
    problem(engineer.post(PROMOTE, {**production, "why_material": "it is"}), "what_changed")
    problem(engineer.post(PROMOTE, {**production, "reason": "x", "what_changed": "y", "why_material": "z"}), "reason")
    development = {"target_stage": "development", "what_changed": "y", "why_material": "z"}
    problem(engineer.post(PROMOTE, development), "what_changed")
    assert not PromotionRequest.objects.exists()
    status, done = engineer.post(PROMOTE, {**production, "what_changed": "more data", "why_material": "3 % more"})
    assert status == 202
    assert (done["request"]["reason"], done["request"]["why_material"]) == ("more data", "3 % more")


def test_markup_is_text(staged: Version, engineer: Person, approver: Actor) -> None:
    evil = "<script>alert(1)</script><b>fine</b>"
    status, done = engineer.post(PROMOTE, {"target_stage": "production", "what_changed": evil, "why_material": evil})
    assert status == 202
    client = Client()
    client.force_login(user(approver))
    number = done["request"]["id"]
    for page in (reverse("admin:registry_promotionrequest_change", args=[number]), reverse("queue")):
        said = client.get(page).content.decode()
        assert "<script>alert(1)" not in said
        assert "&lt;script&gt;alert(1)" in said


def test_the_own_request(request_: PromotionRequest, engineer: Person) -> None:
    status, said = engineer.post(f"/approvals/{request_.pk}/approve", {})
    assert (status, said["code"]) == (403, "four_eyes")
    unchanged(request_)


def test_an_unknown_queue(decider: Person) -> None:
    problem(decider.get("/approvals", waiting_for="you"), "waiting_for")


def test_the_queue_is_oldest_first_with_its_diff(request_: PromotionRequest, decider: Person) -> None:
    (row,) = decider.get("/approvals", waiting_for="me")[1]["results"]
    assert row["id"] == request_.pk
    assert row["diff"] is None  # nothing is in production
    assert row["expires_at"] > row["created_at"]
    assert row["may_decide"]["may"] is True


def unchanged(request: PromotionRequest) -> None:
    request.refresh_from_db()
    assert request.status == "pending"
    assert not Review.objects.exists()
