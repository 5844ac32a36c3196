"""Channels of a team, and what became of what was told there. What is sealed is in none of it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from mlops_site.core.errors import NotFound
from mlops_site.core.models import Delivery
from mlops_site.core.permissions import Actor, visible
from monitoring.models import Alert, Channel, Message


def channels(actor: Actor) -> QuerySet[Channel]:
    """Those of the actor's teams, by name."""
    rows = visible(actor, Channel.objects.kept()).defer("address", "secret")
    return rows.select_related("team", "created_by").prefetch_related("chosen").order_by("name", "pk")


def channel_of(actor: Actor, pk: UUID) -> Channel:
    """One of them; NotFound if it is absent or another team's."""
    found = channels(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"no channel {pk} here, or it belongs to another team", code="unknown_channel")
    return found


def deliveries_of(actor: Actor, *, channel: Channel | None = None, state: str = "") -> QuerySet[Delivery]:
    """What was sent to one of the team's channels, or to all and to the operator's; newest first. A person's own
    letters are not in it."""
    rows = visible(actor, Delivery.objects.exclude(channel__startswith="mail:"))
    rows = rows.filter(channel=channel.key) if channel else rows
    rows = rows.filter(state=state) if state else rows
    return rows.select_related("team").order_by("-created_at", "-pk")


def delivery_of(actor: Actor, pk: UUID) -> Delivery:
    """One of them; NotFound if it is absent or another team's."""
    found = deliveries_of(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"no delivery {pk} here, or it belongs to another team", code="unknown_delivery")
    return found


def last_deliveries(rows: list[Channel]) -> dict[UUID, Delivery]:
    """The latest of each channel, in one statement."""
    latest = Delivery.objects.filter(channel=OuterRef("channel")).order_by("-created_at", "-pk").values("pk")[:1]
    keys = {channel.key: channel.pk for channel in rows}
    found = Delivery.objects.filter(channel__in=keys, pk=Subquery(latest)).defer("body")
    return {keys[delivery.channel]: delivery for delivery in found}


def named(rows: Iterable[Delivery]) -> list[tuple[Delivery, Channel | None]]:
    """Each with its channel, where it still is one."""
    shown = list(rows)
    keys = {row.channel.partition(":")[2] for row in shown if row.channel.startswith("channel:")}
    found = {channel.key: channel for channel in Channel.objects.filter(pk__in=keys).defer("address", "secret")}
    return [(row, found.get(row.channel)) for row in shown]


def held(channel: Channel) -> QuerySet[Message]:
    """What waits for its hour, the first to go first."""
    return Message.objects.filter(channel=channel, delivery=None).order_by("due_at", "pk")


def held_of(alert: Alert) -> QuerySet[Message]:
    return Message.objects.filter(alert=alert, delivery=None).select_related("channel").order_by("due_at", "pk")
