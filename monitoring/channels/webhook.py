"""Webhooks. The operator's, MONITORING_WEBHOOK_URL, gets a JSON body for every alert raised, and resolved if raised,
with no further set-up. A team's are signed (Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from mlops_site.core import http, outside, webhooks
from mlops_site.core.errors import Invalid
from mlops_site.core.mail import link
from mlops_site.core.models import Delivery, Team
from monitoring.channels import RAISED, RESOLVED
from monitoring.models import Alert

if TYPE_CHECKING:
    from monitoring.channels.delivery import Target

CHANNEL = "monitoring_webhook"
MAX_ITEMS, MAX_TEXT, MAX_DEPTH = 10, 200, 3


def checked(address: str, team: Team) -> str:
    """The host of an address that may be posted to."""
    try:
        return outside.place_of(outside.parts_of(address))
    except http.Unusable as error:
        raise Invalid.on("address", f"the address cannot be used: {error}", code="bad_address") from None


def send(target: Target, body: dict[str, Any]) -> http.Answer:
    """The body, signed with the channel's secret."""
    text, at = http.as_json({**body, "link": link(str(body.get("url", "")))}), datetime.now(UTC)
    signed = Webhook(target.secret).sign(target.key, at, text.decode())
    headers = {"webhook-id": target.key, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signed}
    return outside.post(target.address, text, timeout_secs=webhooks.TIMEOUT_SECS, headers=headers)


def post_json(target: Target, body: Any) -> http.Answer:
    """What a chat's own webhook takes."""
    return outside.post(target.address, http.as_json(body), timeout_secs=webhooks.TIMEOUT_SECS)


def tell(alert: Alert, event: str) -> None:
    """A delivery, where there is somebody to deliver to: an end is told only to who was told the beginning."""
    if not settings.MONITORING_WEBHOOK_URL:
        return
    told = Delivery.objects.filter(subject=alert.subject, channel=CHANNEL, event=RAISED)
    if event == RESOLVED and not told.exists():
        return
    webhooks.enqueue(
        channel=CHANNEL, subject=alert.subject, team=alert.model.team, event=event, body=body(alert, event)
    )


def body(alert: Alert, event: str) -> dict[str, Any]:
    """What the receiver reads. `url` is a path on this site, whose own name the receiver knows."""
    return {
        "type": event,
        "id": str(alert.pk),
        "at": timezone.now().isoformat(),
        "severity": str(alert.severity),
        "model": alert.model.name,
        "version": alert.version.number,
        "rule": str(alert.rule),
        "subject": alert.subject_key,
        "summary": alert.summary,
        "status": str(alert.status),
        "assignee": alert.assignee.username if alert.assignee else None,
        "url": reverse("alert", args=[alert.pk]),
        "evidence": short(alert.evidence),
    }


def short(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The evidence within bounds: the beginning of long lists and texts, nothing nested too deep.

    >>> short({"features": list(range(99))})
    {'features': [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}
    """
    if isinstance(value, dict | list) and depth == 0:
        return "…"
    if isinstance(value, dict):
        return {str(name)[:MAX_TEXT]: short(inner, depth - 1) for name, inner in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list):
        return [short(inner, depth - 1) for inner in value[:MAX_ITEMS]]
    return value[:MAX_TEXT] if isinstance(value, str) else value
