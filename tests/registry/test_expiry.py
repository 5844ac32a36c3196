"""Requests wait for a bounded time; who may decide them is told and reminded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from mlops_site.core import inbox
from mlops_site.core.errors import Conflict
from mlops_site.core.models import AuditRecord, Delivery, Membership
from mlops_site.core.permissions import Actor
from mlops_site.core.webhooks import send_due
from registry import selectors, services
from registry.models import Notice, PromotionRequest, Version
from tests.core.mailboxes import html, mailbox
from tests.people import actor as person
from tests.registry.parts import user


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let so many days pass, for the code under test."""
    now = timezone.now()

    def days(count: float) -> None:
        monkeypatch.setattr("django.utils.timezone.now", lambda: now + timedelta(days=count))

    return days


def told(kind: str) -> list[str]:
    return sorted(Notice.objects.filter(kind=kind).values_list("recipient__username", flat=True))


def test_a_request_waits_for_two_weeks(request_: PromotionRequest) -> None:
    assert request_.expires_at - request_.created_at >= timedelta(days=13, hours=23)
    assert request_.expires_at - request_.created_at <= timedelta(days=14, minutes=1)


def test_the_sweep_closes_what_nobody_decided(request_: PromotionRequest, approver: Actor, clock: Any) -> None:
    clock(13.9)
    assert services.sweep_approvals()["expired"] == 0
    clock(14.1)
    assert services.sweep_approvals()["expired"] == 1
    request_.refresh_from_db()
    assert (request_.status, request_.closed_by) == ("expired", None)
    assert AuditRecord.objects.get(action="promotion.expired").actor == "system:registry"
    assert services.sweep_approvals()["expired"] == 0


def test_an_expired_request_is_not_decided_though_no_sweep_came(
    request_: PromotionRequest, approver: Actor, clock: Any
) -> None:
    clock(14.1)
    assert not selectors.requests(approver, waiting_for_me=True)
    with pytest.raises(Conflict, match="expired on") as raised:
        services.review_request(request_, actor=approver, decision="approve")
    assert raised.value.code == "request_expired"
    assert selectors.in_production(request_.model) is None


def test_an_expired_request_stands_in_nobodys_way(request_: PromotionRequest, author: Actor, clock: Any) -> None:
    clock(14.1)
    again = services.request_promotion(request_.version, actor=author, reason="still better")
    request_.refresh_from_db()
    assert (request_.status, again.status) == ("expired", "pending")


def test_who_may_decide_is_told_and_nobody_else(
    staged: Version, author: Actor, approver: Actor, validator: Actor, outsider: Actor
) -> None:
    person("vera", "viewer")
    away = person("gone", "approver")
    user(away).is_active = False
    user(away).save(update_fields=["is_active"])
    Membership.objects.filter(user=user(author)).update(role="approver")  # who asks may not decide
    request = services.request_promotion(staged, actor=author, reason="x")
    assert told("opened") == ["approver", "validator"]
    assert [each.person.username for each in selectors.reviewers(request)] == ["approver", "validator"]


def test_reminders_come_once_each_and_not_to_who_has_decided(
    author: Actor, approver: Actor, validator: Actor, request_: PromotionRequest, clock: Any
) -> None:
    counts = []
    for day in (1, 3.1, 3.2, 7.1):
        clock(day)
        counts.append(services.sweep_approvals()["reminded"])
    assert counts == [0, 2, 0, 2]
    services.review_request(request_, actor=validator, decision="approve")
    clock(12.5)
    assert services.sweep_approvals()["reminded"] == 1
    assert (told("day_3"), told("day_7"), told("expiring")) == (["approver", "validator"],) * 2 + (["approver"],)


def test_after_a_standstill_there_is_one_reminder(request_: PromotionRequest, approver: Actor, clock: Any) -> None:
    clock(8)
    assert services.sweep_approvals()["reminded"] == 1
    assert told("day_3") == []
    assert told("day_7") == ["approver"]


def test_the_operators_webhook_names_the_people(
    staged: Version, author: Actor, approver: Actor, validator: Actor, settings: Any
) -> None:
    settings.APPROVAL_WEBHOOK_URL = "http://127.0.0.1:9/hook"
    request = services.request_promotion(staged, actor=author, reason="better")
    delivery = Delivery.objects.get()
    assert (delivery.channel, delivery.event, delivery.subject) == (
        "approval_webhook",
        "approval.opened",
        request.subject,
    )
    assert [to["name"] for to in delivery.body["to"]] == ["approver", "validator"]
    assert delivery.body["reason"] == "better"


def test_without_a_webhook_nothing_is_sent(request_: PromotionRequest, approver: Actor) -> None:
    assert not Delivery.objects.exists()


def test_inboxes_and_letters_tell_who_may_decide_and_then_who_asked(
    staged: Version, author: Actor, approver: Actor, validator: Actor, clock: Any, settings: Any
) -> None:
    inbox.set_mail(approver, email="ben@example.org", takes_mail=True)
    with mailbox(settings) as box:
        request = services.request_promotion(staged, actor=author, reason="It is <b>better</b>.")
        clock(3.1)
        services.sweep_approvals()
        services.withdraw_request(request, actor=author)
        send_due(timezone.now())
        send_due(timezone.now())
    asks = f"author asks to put {staged} into production"
    for who in (approver, validator):
        titles = [line.title for line in inbox.lines(who)]
        assert titles == [f"It still waits for you: {asks}", asks]
    assert {to[0] for to, _ in box.got} == {"ben@example.org"}
    assert sorted(letter["Subject"] for _, letter in box.got) == sorted([asks, f"It still waits for you: {asks}"])
    assert "&lt;b&gt;better" in html(box.got[0][1])
    assert not inbox.lines(author)  # who withdraws need not be told


def test_who_asked_is_told_what_became_of_it(request_: PromotionRequest, author: Actor, approver: Actor) -> None:
    services.review_request(request_, actor=approver, decision="reject", comment="Not yet.")
    (line,) = inbox.lines(author)
    assert line.title == f"{request_.version} into production: rejected by approver"
    assert line.path == reverse("admin:registry_promotionrequest_change", args=[request_.pk])
