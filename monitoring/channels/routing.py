"""Which of a team's channels are told of an event, and when. Where a team has set up no inbox, those of it who may
handle alerts are told in theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from mlops_site.core import webhooks
from mlops_site.core.inbox import tell as tell_people
from mlops_site.core.models import Delivery, Notification, User
from monitoring.channels import ASSIGNED, DIGEST, ESCALATED, RAISED, RESOLVED, inbox
from monitoring.channels.hours import due_at
from monitoring.channels.webhook import body as body_of
from monitoring.choices import USUAL_EVENTS, ChannelKind, Severity
from monitoring.models import Alert, Channel, Message

MAX_DIGEST = 200  # alerts of one digest
_RANK = list(Severity.values).index


def tell(alert: Alert, event: str) -> None:
    """A message to each channel that wants it: on its way at once, or held until it may go."""
    now, body = timezone.now(), body_of(alert, event)
    rows = list(Channel.objects.kept().filter(team=alert.model.team).select_related("team").prefetch_related("chosen"))
    told = set(Message.objects.filter(alert=alert).values_list("channel_id", "event")) if rows else set()
    for channel in rows:
        if wants(channel, alert, event) and is_news(channel, event, told):
            _keep(channel, alert, Message(event=event, body=body, created_at=now), now)
    if not any(channel.kind == ChannelKind.INBOX for channel in rows):
        _tell_handlers(alert, event, body)
    if event in (ASSIGNED, ESCALATED):
        _tell_in_person(alert, event, body)


def is_news(channel: Channel, event: str, told: set[tuple[UUID, str]]) -> bool:
    """What begins or ends once is told once, and an end only to who was told something before."""
    if event == RESOLVED and not any(pk == channel.pk for pk, _ in told):
        return False
    return event not in (RAISED, RESOLVED) or (channel.pk, event) not in told


def wants(channel: Channel, alert: Alert, event: str) -> bool:
    """Whether it is for this channel at all. One without models of its own is for all of the team."""
    chosen = {model.pk for model in channel.chosen.all()}
    return (
        channel.enabled
        and event.partition(".")[2] in channel.events
        and _RANK(alert.severity) <= _RANK(channel.min_severity)
        and (not chosen or alert.model_id in chosen)
    )


def when(channel: Channel, severity: str, now: datetime) -> datetime:
    """When a message of the severity may go."""
    if severity == Severity.CRITICAL and channel.critical_passes:
        return now
    start, end = channel.quiet_from, channel.quiet_until
    quiet = (start, end) if start is not None and end is not None else None
    return due_at(now, digest=channel.digest, quiet=quiet, zone=channel.time_zone)


def _keep(channel: Channel, alert: Alert, message: Message, now: datetime) -> None:
    message.channel, message.alert = channel, alert
    message.due_at = when(channel, alert.severity, now)
    message.save(force_insert=True)
    if message.due_at <= now:
        send(channel, [message])


def send(channel: Channel, messages: Sequence[Message]) -> Delivery:
    """One delivery of all of them, in the caller's transaction; in an inbox it has arrived with it."""
    body = messages[0].body if len(messages) == 1 else digest_of(channel, messages)
    subject = messages[0].alert.subject if len(messages) == 1 else channel.subject
    delivery = enqueue(channel, subject=subject, body=body)
    Message.objects.filter(pk__in=[message.pk for message in messages]).update(delivery=delivery)
    return delivery


def enqueue(channel: Channel, *, subject: str, body: dict[str, Any], **options: Any) -> Delivery:
    about = {"channel": channel.key, "subject": subject, "team": channel.team, "event": body["type"]}
    if channel.kind == ChannelKind.INBOX:
        return inbox.deliver(channel, body, about)
    return webhooks.enqueue(**about, body=body, **options)


def digest_of(channel: Channel, messages: Sequence[Message]) -> dict[str, Any]:
    """One body of many messages: each alert once, as it was said last, with all that happened to it; worst first."""
    latest: dict[Any, dict[str, Any]] = {}
    for message in messages:
        events = latest.get(message.alert_id, {}).get("events", [])
        latest[message.alert_id] = {**message.body, "events": [*events, message.event]}
    alerts = sorted(latest.values(), key=lambda body: _RANK(body["severity"]))
    return {
        "type": DIGEST,
        "id": f"{channel.pk}:{messages[0].pk}",
        "at": timezone.now().isoformat(),
        "channel": channel.name,
        "since": messages[0].created_at.isoformat(),
        "alerts": alerts[:MAX_DIGEST],
        "left_out": max(0, len(alerts) - MAX_DIGEST),
    }


def _tell_handlers(alert: Alert, event: str, body: dict[str, Any]) -> None:
    """Whoever may handle it, where the team has not said who wants to know. Letters are for who asked for them."""
    if event.partition(".")[2] not in USUAL_EVENTS or event == ASSIGNED:  # which is between two people
        return
    people = inbox.handlers(alert.model.team)
    if event == RESOLVED:
        known = Notification.objects.filter(subject=alert.subject, recipient__in=people).values("recipient")
        people = people.filter(pk__in=known)
    tell_people(people, inbox.note(body, alert.subject), team=alert.model.team, by_mail=False)


def _tell_in_person(alert: Alert, event: str, body: dict[str, Any]) -> None:
    """Whoever has it now, or the role that it has been passed on to, whatever the channels say."""
    assignee, role = alert.assignee, alert.escalated_to
    people: Iterable[User] = [assignee] if event == ASSIGNED and assignee else []
    if event == ESCALATED and role:
        people = inbox.people_of(alert.model.team, [role])
    beginning = "You have it now" if event == ASSIGNED else "It has come to you, for nobody looks at it yet"
    told = inbox.note(body, alert.subject)._replace(title=f"[{alert.severity}] {beginning}: {alert.summary}")
    tell_people(people, told, team=alert.model.team)
