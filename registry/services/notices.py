"""Who may decide a request is told when it is filed and reminded while it waits: on the site, in their inbox and by
e-mail (`reviewers_told`), and through the operator's APPROVAL_WEBHOOK_URL, whose body names the people it is for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from mlops_site.core import webhooks
from registry.choices import NoticeKind, RequestStatus
from registry.models import Notice, PromotionRequest
from registry.selectors import Told, reviewers
from registry.services.guards import locked
from registry.signals import reviewers_told

CHANNEL = "approval_webhook"
LAST_DAYS = timedelta(days=2)  # before a request expires
_REMINDERS = ((timedelta(days=7), NoticeKind.DAY_7), (timedelta(days=3), NoticeKind.DAY_3))


def tell_reviewers(request: PromotionRequest, kind: NoticeKind) -> list[Told]:
    """Under the model's lock: each of those who may decide it, once a kind; who was told now."""
    before = set(Notice.objects.filter(request=request, kind=kind).values_list("recipient", flat=True))
    told = [each for each in reviewers(request) if each.person.pk not in before]
    Notice.objects.bulk_create(
        Notice(request=request, recipient=each.person, on_behalf_of=each.on_behalf_of, kind=kind) for each in told
    )
    if told:
        reviewers_told.send(sender=PromotionRequest, request=request, kind=kind, told=told)
    if told and settings.APPROVAL_WEBHOOK_URL:
        event, team = f"approval.{kind}", request.model.team
        body = body_of(request, event, told)
        webhooks.enqueue(channel=CHANNEL, subject=request.subject, team=team, event=event, body=body)
    return told


def body_of(request: PromotionRequest, event: str, told: Sequence[Told]) -> dict[str, Any]:
    """What the receiver reads. `url` is a path on this site, whose own name the receiver knows."""
    return {
        "type": event,
        "id": request.pk,
        "at": timezone.now().isoformat(),
        "model": request.model.name,
        "version": request.version.number,
        "risk_tier": request.model.risk_tier,
        "requester": request.requester.username,
        "reason": request.reason[:500],
        "expires_at": request.expires_at.isoformat(),
        "url": reverse("admin:registry_promotionrequest_change", args=[request.pk]),
        "to": [
            {
                "name": each.person.username,
                "email": each.person.email,
                "on_behalf_of": each.on_behalf_of.username if each.on_behalf_of else None,
            }
            for each in told
        ],
    }


def remind() -> int:
    """What is due now of every request that waits; how many people were told."""
    waiting = PromotionRequest.objects.filter(status=RequestStatus.PENDING, expires_at__gt=timezone.now())
    count = 0
    for request in waiting.select_related("model__team", "version__model", "requester").defer("evidence"):
        kind = due_kind(request)
        if kind is None:
            continue
        with locked(request.model):
            row = waiting.select_related("model__team", "version__model", "requester").filter(pk=request.pk).first()
            count += len(tell_reviewers(row, kind)) if row else 0
    return count


def due_kind(request: PromotionRequest) -> NoticeKind | None:
    """The latest reminder whose time has come: after a standstill nobody is told three times at once."""
    now = timezone.now()
    if request.expires_at - now <= LAST_DAYS:
        return NoticeKind.EXPIRING
    return next((kind for after, kind in _REMINDERS if now - request.created_at >= after), None)
