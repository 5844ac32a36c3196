"""Approvals with conditions: kept, listed, closed by somebody else, and told when their day has passed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring.models import Alert
from monitoring.services import resolve_alert
from registry import selectors, services
from registry.models import ConditionClosing, PromotionRequest, RegisteredModel, Review
from tests.kept import kept_fixture
from tests.people import actor as person
from tests.registry.http import Person
from tests.registry.parts import into_production, user


def today() -> date:
    return timezone.now().date()


def approve_conditionally(request: PromotionRequest, actor: Actor, *, days: int = 30) -> Review:
    services.review_request(
        request,
        actor=actor,
        decision="approve_with_conditions",
        condition="measure site 5 again",
        revalidate_on=today() + timedelta(days=days),
    )
    return Review.objects.get(request=request, reviewer=user(actor))


@kept_fixture
def review(request_: PromotionRequest, approver: Actor) -> Review:
    """1.0.0 serves, under a condition."""
    return approve_conditionally(request_, approver)


def overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A review never changes: the clock has to."""
    later = timezone.now() + timedelta(days=31)
    monkeypatch.setattr("registry.services.conditions.timezone.now", lambda: later)


def test_a_condition_is_recorded_and_listed_while_open(review: Review, model: RegisteredModel, approver: Actor) -> None:
    assert selectors.in_production(model) == review.request.version
    assert list(selectors.open_conditions(approver, model=model)) == [review]
    said = AuditRecord.objects.get(action="promotion.reviewed").data
    assert (said["decision"], said["condition"]) == ("approve_with_conditions", "measure site 5 again")
    assert said["revalidate_on"] == (today() + timedelta(days=30)).isoformat()


def test_an_approver_closes_it_with_a_note(review: Review, model: RegisteredModel, approver: Actor) -> None:
    with pytest.raises(Invalid, match="note must say why"):
        services.close_condition(review, actor=approver, note=" ")
    services.close_condition(review, actor=approver, note="site 5 is fine")
    assert not selectors.open_conditions(approver, model=model)
    assert ConditionClosing.objects.get().note == "site 5 is fine"
    assert AuditRecord.objects.get(action="promotion.condition_closed").data["note"] == "site 5 is fine"
    with pytest.raises(Conflict, match="closed already"):
        services.close_condition(review, actor=approver, note="again")


@pytest.mark.parametrize("role", ["validator", "ml_engineer", "admin", "viewer"])
def test_only_an_approver_closes_it(review: Review, role: str) -> None:
    with pytest.raises(Forbidden):
        services.close_condition(review, actor=person("other", role), note="fine")
    assert not ConditionClosing.objects.exists()


@pytest.mark.parametrize("days", [0, -1, 2000])
def test_the_day_is_ahead_and_not_absurd(request_: PromotionRequest, approver: Actor, days: int) -> None:
    with pytest.raises(Invalid, match="revalidate_on must be tomorrow or later") as raised:
        approve_conditionally(request_, approver, days=days)
    assert raised.value.errors[0].field == "revalidate_on"
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"decision": "approve_with_conditions", "condition": "x"}, "revalidate_on"),
        ({"decision": "approve_with_conditions", "revalidate_on": date(2999, 1, 1)}, "condition"),
        ({"decision": "approve", "condition": "x"}, "condition"),
        ({"decision": "reject", "comment": "no", "revalidate_on": date(2999, 1, 1)}, "revalidate_on"),
    ],
)
def test_a_condition_comes_with_its_day_and_with_no_other_decision(
    request_: PromotionRequest, approver: Actor, terms: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as raised:
        services.review_request(request_, actor=approver, **terms)  # type: ignore[arg-type]
    assert raised.value.errors[0].field == field


def test_a_day_that_passes_raises_one_alert(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    services.sweep_approvals()
    assert not Alert.objects.exists()
    overdue(monkeypatch)
    assert [services.sweep_approvals()["overdue"] for _ in range(3)] == [1, 1, 1]
    alert = Alert.objects.get()
    assert (alert.rule, alert.severity, alert.count, alert.report) == ("revalidation", "high", 1, None)
    assert "measure site 5 again" in alert.summary
    assert AuditRecord.objects.filter(action="alert.raised").count() == 1


def test_who_resolved_the_alert_is_not_told_again(
    review: Review, approver: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    overdue(monkeypatch)
    services.sweep_approvals()
    resolve_alert(Alert.objects.select_related("model__team").get(), actor=approver, comment="next week")
    services.sweep_approvals()
    assert Alert.objects.get().status == "resolved"


def test_closing_the_condition_resolves_the_alert(
    review: Review, approver: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    overdue(monkeypatch)
    services.sweep_approvals()
    services.close_condition(review, actor=approver, note="site 5 is fine")
    alert = Alert.objects.get()
    assert (alert.status, alert.comment) == ("resolved", "site 5 is fine")
    assert services.sweep_approvals()["overdue"] == 0


def test_what_another_version_has_replaced_raises_nothing(
    review: Review, model: RegisteredModel, author: Actor, approver: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    into_production(model, author=author, approver=approver, seed=1)
    overdue(monkeypatch)
    assert services.sweep_approvals()["overdue"] == 0
    services.rollback(model, actor=approver, reason="bad")
    assert services.sweep_approvals()["overdue"] == 1


def test_over_the_api(request_: PromotionRequest, engineer: Person, decider: Person, stranger: Person) -> None:
    day = (today() + timedelta(days=9)).isoformat()
    status, done = decider.post(f"/approvals/{request_.pk}/approve", {"condition": "site 5", "revalidate_on": day})
    assert (status, done["status"]) == (200, "approved")
    assert done["reviews"][0]["decision"] == "approve_with_conditions"
    (row,) = engineer.get("/conditions", model="claims")[1]["results"]
    assert (row["condition"], row["revalidate_on"], row["overdue"], row["closed_by"]) == ("site 5", day, False, None)
    assert stranger.get("/conditions")[1]["results"] == []
    path = f"/conditions/{row['id']}/close"
    assert stranger.post(path, {"note": "x"})[0] == 404
    assert engineer.post(path, {"note": "x"})[0] == 403
    assert decider.post(path, {"note": "done"})[1]["closed_by"] == "approver"
    assert decider.get("/conditions")[1]["results"] == []
