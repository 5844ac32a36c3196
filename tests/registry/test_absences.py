"""Delegations move notices and the queue, and give nobody a right."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlops_site.core.errors import Conflict, Forbidden, Invalid, StewardError
from mlops_site.core.models import AuditRecord, Membership
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import Delegation, Notice, PromotionRequest, Version
from tests.kept import kept_fixture
from tests.people import actor as person
from tests.registry.http import Person
from tests.registry.parts import user


@kept_fixture
def second(db: None) -> Actor:
    return person("second", "approver")


def delegate(actor: Actor, to: str, **changes: Any) -> Delegation:
    team = Membership.objects.select_related("team").get(user=user(actor)).team
    now = timezone.now()
    span = {"starts_at": now - timedelta(minutes=1), "ends_at": now + timedelta(days=5)}
    return services.delegate_reviews(actor=actor, team=team, delegate=to, **{**span, **changes})


def waiting(actor: Actor) -> list[PromotionRequest]:
    return list(selectors.requests(actor, waiting_for_me=True))


def test_what_waits_goes_to_the_delegate(request_: PromotionRequest, approver: Actor, second: Actor) -> None:
    assert waiting(approver) == [request_]
    made = delegate(approver, "second", reason="holidays")
    assert (waiting(approver), waiting(second)) == ([], [request_])
    assert [row.person for row in selectors.standing_in(second)] == [user(approver)]
    assert AuditRecord.objects.get(action="delegation.made").data["delegate"] == "second"
    services.end_delegation(made, actor=approver)
    assert waiting(approver) == [request_]
    assert AuditRecord.objects.filter(action="delegation.ended").exists()


def test_the_delegate_is_told_in_the_place_of_who_is_away(
    staged: Version, author: Actor, approver: Actor, second: Actor
) -> None:
    delegate(approver, "second")
    services.request_promotion(staged, actor=author, reason="x")
    notice = Notice.objects.get()
    assert (notice.recipient, notice.on_behalf_of) == (user(second), user(approver))


def test_what_the_delegate_may_not_decide_stays(staged: Version, author: Actor, approver: Actor, second: Actor) -> None:
    """The delegate is the one who asks."""
    delegate(approver, "second")
    Membership.objects.filter(user=user(second)).update(role="ml_engineer")
    request = services.request_promotion(staged, actor=Actor.of(user(second)), reason="x")
    Membership.objects.filter(user=user(second)).update(role="approver")
    assert (waiting(approver), waiting(Actor.of(user(second)))) == ([request], [])
    assert [each.person for each in selectors.reviewers(request)] == [user(approver)]
    with pytest.raises(Forbidden) as raised:
        services.review_request(request, actor=Actor.of(user(second)), decision="approve")
    assert raised.value.code == "four_eyes"


def test_from_delegate_to_delegate_and_round_in_a_circle(
    request_: PromotionRequest, approver: Actor, second: Actor
) -> None:
    third = person("third", "approver")
    delegate(approver, "second")
    delegate(second, "third")
    assert [each.person.username for each in selectors.reviewers(request_)] == ["third"]
    delegate(third, "approver")
    assert sorted(each.person.username for each in selectors.reviewers(request_)) == ["approver", "second", "third"]


@pytest.mark.parametrize(
    ("to", "changes", "code"),
    [
        ("approver", {}, "oneself"),
        ("nobody", {}, "unknown_person"),
        ("outsider", {}, "unknown_person"),
        ("author", {}, "not_eligible"),
        ("validator", {}, "not_eligible"),
        ("second", {"ends_at": timezone.now() - timedelta(days=1)}, "out_of_range"),
        ("second", {"ends_at": timezone.now() + timedelta(days=400)}, "out_of_range"),
        ("second", {"reason": "\u202egood"}, "control_character"),
    ],
)
def test_to_whom_and_how_long(
    approver: Actor, second: Actor, author: Actor, validator: Actor, outsider: Actor, to: str, changes: Any, code: str
) -> None:
    with pytest.raises(StewardError) as raised:
        delegate(approver, to, **changes)
    assert raised.value.code == code
    assert not Delegation.objects.exists()


def test_one_at_a_time_and_by_reviewers_only(approver: Actor, second: Actor, author: Actor) -> None:
    delegate(approver, "second")
    with pytest.raises(Conflict, match="second stands in for you"):
        delegate(approver, "second")
    with pytest.raises(Forbidden):
        delegate(author, "second")
    with pytest.raises(Forbidden, match="only approver, who made it"):
        services.end_delegation(Delegation.objects.get(), actor=second)


def test_a_delegate_who_lost_the_role_stands_in_no_more(
    request_: PromotionRequest, approver: Actor, second: Actor
) -> None:
    delegate(approver, "second")
    Membership.objects.filter(user=user(second)).update(role="viewer")
    assert waiting(approver) == [request_]


def test_over_the_api(request_: PromotionRequest, second: Actor, decider: Person, engineer: Person) -> None:
    now = timezone.now()
    body = {"delegate": "second", "starts_at": now.isoformat(), "ends_at": (now + timedelta(days=3)).isoformat()}
    status, made = decider.post("/delegations", body)
    assert (status, made["person"], made["delegate"]) == (201, "approver", "second")
    assert decider.get("/delegations")[1]["count"] == 1
    assert engineer.get("/delegations")[1]["count"] == 0
    assert decider.get("/approvals", waiting_for="me")[1]["results"] == []
    assert Person(second).get("/approvals", waiting_for="me")[1]["results"][0]["id"] == request_.pk
    assert Person(second).post(f"/delegations/{made['id']}/end")[0] == 403
    assert decider.post(f"/delegations/{made['id']}/end")[1]["ended_at"] is not None
    assert decider.post(f"/delegations/{made['id']}/end")[0] == 409
    status, problem = decider.post("/delegations", {**body, "starts_at": "2026-01-01"})
    assert (status, problem["errors"][0]["field"]) == (422, "starts_at")


def test_errors_name_their_field(approver: Actor) -> None:
    with pytest.raises(Invalid) as raised:
        delegate(approver, "approver")
    assert raised.value.errors[0].field == "delegate"


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_the_last_day_of_the_calendar_is_refused_on_the_page(approver: Actor, second: Actor, day: str) -> None:
    client = Client()
    client.force_login(user(approver))
    sent = {"team": "claims", "delegate": "second", "first_day": "2026-11-25", "last_day": day}
    answer = client.post(reverse("absence"), sent)
    assert answer.status_code == 422
    assert answer.context["form"].errors
    assert not Delegation.objects.exists()
