"""Whoever leaves the team, or loses the role, leaves no open request and no review that counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import call_command

from mlops_site.core import teams
from mlops_site.core.errors import Conflict, Forbidden
from mlops_site.core.models import AuditRecord, Membership, User
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import Delegation, PromotionRequest, Review, Version
from tests.kept import kept_fixture
from tests.people import actor as person
from tests.registry.parts import candidate, user
from tests.registry.test_absences import delegate

Leaving = Callable[[User], object]


def removed(who: User) -> None:
    teams.remove_member(who, team=Membership.objects.get(user=who).team, actor=person("tom", "admin"))


def deactivated(who: User) -> None:
    call_command("deactivate_user", who.username)


def made_a_viewer(who: User) -> None:
    teams.create_user(who.username, role="viewer", team="claims", actor=person("tom", "admin"))


WAYS: list[Leaving] = [removed, deactivated, made_a_viewer]


@kept_fixture
def half(author: Actor, approver: Actor, validator: Actor) -> PromotionRequest:
    """Of high risk, approved by the approver: the validator is still missing."""
    model = services.create_model(actor=author, name="claims", task_type="classification", risk_tier="high")
    version = services.register_version(model, actor=author, candidate=candidate())
    services.move_stage(version, actor=author, target_stage="staging", reason="x")
    request = services.request_promotion(version, actor=author, reason="x")
    return services.review_request(request, actor=approver, decision="approve")


@pytest.mark.parametrize("leave", WAYS)
def test_the_requests_of_who_leaves_are_closed(request_: PromotionRequest, author: Actor, leave: Leaving) -> None:
    leave(user(author))
    request_.refresh_from_db()
    assert request_.status == "void"
    kept = AuditRecord.objects.get(action="promotion.void")
    assert kept.subject == request_.subject
    assert "author" in kept.data["comment"]


@pytest.mark.parametrize("leave", WAYS)
def test_the_reviews_of_who_leaves_count_no_more(
    half: PromotionRequest, approver: Actor, validator: Actor, leave: Leaving
) -> None:
    leave(user(approver))
    assert Review.objects.get().voided_at is not None
    assert AuditRecord.objects.get(action="promotion.review_voided").data["reviewer"] == "approver"
    assert services.review_request(half, actor=validator, decision="approve").status == "pending"
    assert services.review_request(half, actor=person("second", "approver"), decision="approve").status == "approved"


def test_who_comes_back_reviews_again(half: PromotionRequest, approver: Actor, validator: Actor) -> None:
    made_a_viewer(user(approver))
    teams.create_user("approver", role="approver", team="claims")
    services.review_request(half, actor=validator, decision="approve")
    assert selectors.in_production(half.model) is None
    back = Actor.of(user(approver))
    assert services.review_request(half, actor=back, decision="approve").status == "approved"


def test_a_new_role_that_may_still_ask_keeps_the_request(request_: PromotionRequest, author: Actor) -> None:
    teams.create_user("author", role="data_scientist", team="claims")
    request_.refresh_from_db()
    assert request_.status == "pending"


def test_the_same_role_again_changes_nothing(half: PromotionRequest, approver: Actor) -> None:
    teams.create_user("approver", role="approver", team="claims")
    assert Review.objects.get().voided_at is None


def test_what_is_decided_stays(served: Version, author: Actor, approver: Actor) -> None:
    removed(user(approver))
    removed(user(author))
    assert selectors.in_production(served.model) == served
    assert Review.objects.get().voided_at is None
    assert PromotionRequest.objects.get().status == "approved"


def test_delegations_of_both_sides_end(request_: PromotionRequest, approver: Actor) -> None:
    delegate(approver, person("second", "approver").name)
    removed(User.objects.get(username="second"))
    assert Delegation.objects.get().ended_at is not None
    assert list(selectors.requests(approver, waiting_for_me=True)) == [request_]


def test_all_of_it_or_nothing(request_: PromotionRequest, author: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one transaction: if closing fails, the person has not left."""

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("registry.services.leavers.close_request", fail)
    with pytest.raises(RuntimeError):
        removed(user(author))
    assert Membership.objects.filter(user=user(author)).exists()
    request_.refresh_from_db()
    assert request_.status == "pending"


def test_who_deactivates_whom(request_: PromotionRequest, author: Actor, approver: Actor) -> None:
    admin = person("tom", "admin")
    with pytest.raises(Forbidden):
        teams.deactivate_user(user(author), actor=approver)
    with pytest.raises(Forbidden):
        teams.deactivate_user(user(admin), actor=admin)
    person("author", "viewer", team="elsewhere")  # of two teams: the admin of one of them is not enough
    with pytest.raises(Forbidden):
        teams.deactivate_user(user(author), actor=admin)
    teams.deactivate_user(user(approver), actor=admin)
    assert not Actor.of(User.objects.get(username="approver")).roles
    with pytest.raises(Conflict, match="deactivated already"):
        teams.deactivate_user(user(approver), actor=admin)
