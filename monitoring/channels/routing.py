"""Which of a team's channels are told of an event, and when. Where a team has set up no inbox, those of it who may
handle alerts are told in theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from mlops_site.core import webhooks
from mlops_site.core.inbox import tell as tell_people
from mlops_site.core.models import Delivery, Notification, Team, User
from monitoring.channels import ASSIGNED, DIGEST, ESCALATED, inbox
from monitoring.channels.hours import due_at
from monitoring.channels.webhook import body as body_of
from monitoring.choices import USUAL_EVENTS, AlertEvent, ChannelKind, Severity
from monitoring.models import Alert, Channel, Message
from registry.models import RegisteredModel

MAX_DIGEST = 200  # alerts of one digest
_RANK = list(Severity.values).index


class News(NamedTuple):
    """What is told: an event of an alert, or of something else of a model that begins or ends (`phase`), such as an
    incident. `subject` is what it is about, as the audit chain names it."""

    event: str
    phase: str  # an AlertEvent
    subject: str
    severity: str
    model: RegisteredModel
    body: dict[str, Any]
    alert: Alert | None = None


def tell(alert: Alert, event: str) -> None:
    """A message to each channel that wants it: on its way at once, or held until it may go."""
    phase, body = event.partition(".")[2], body_of(alert, event)
    has_inbox = _route(News(event, phase, alert.subject, alert.severity, alert.model, body, alert))
    if not has_inbox and phase in USUAL_EVENTS and event != ASSIGNED:  # which is between two people
        _tell_people(inbox.handlers(alert.model.team), body, alert.subject, alert.model.team, phase)
    if event in (ASSIGNED, ESCALATED):
        _tell_in_person(alert, event, body)


def tell_news(news: News, people: QuerySet[User]) -> None:
    """The same of what is no alert; `people` are told in their inboxes where the team has set up none."""
    if not _route(news):
        _tell_people(people, news.body, news.subject, news.model.team, news.phase)


def _route(news: News) -> bool:
    """To the channels of the model's team; whether one of them is an inbox."""
    now, team = timezone.now(), news.model.team
    rows = list(Channel.objects.kept().filter(team=team).select_related("team").prefetch_related("chosen"))
    of = {"alert": news.alert} if news.alert else {"alert": None, "subject": news.subject}
    told = set(Message.objects.filter(**of).values_list("channel_id", "event")) if rows else set()
    for channel in rows:
        if wants(channel, news) and is_news(channel, news, told):
            _keep(channel, news, now)
    return any(channel.kind == ChannelKind.INBOX for channel in rows)


def is_news(channel: Channel, news: News, told: set[tuple[UUID, str]]) -> bool:
    """What begins or ends once is told once, and an end only to who was told something before."""
    if news.phase == AlertEvent.RESOLVED and not any(pk == channel.pk for pk, _ in told):
        return False
    return news.phase not in (AlertEvent.RAISED, AlertEvent.RESOLVED) or (channel.pk, news.event) not in told


def wants(channel: Channel, news: News) -> bool:
    """Whether it is for this channel at all. One without models of its own is for all of the team."""
    chosen = {model.pk for model in channel.chosen.all()}
    return (
        channel.enabled
        and news.phase in channel.events
        and _RANK(news.severity) <= _RANK(channel.min_severity)
        and (not chosen or news.model.pk in chosen)
    )


def when(channel: Channel, severity: str, now: datetime) -> datetime:
    """When a message of the severity may go."""
    if severity == Severity.CRITICAL and channel.critical_passes:
        return now
    start, end = channel.quiet_from, channel.quiet_until
    quiet = (start, end) if start is not None and end is not None else None
    return due_at(now, digest=channel.digest, quiet=quiet, zone=channel.time_zone)


def _keep(channel: Channel, news: News, now: datetime) -> None:
    message = Message(
        channel=channel,
        alert=news.alert,
        subject="" if news.alert else news.subject,
        event=news.event,
        body=news.body,
        created_at=now,
        due_at=when(channel, news.severity, now),
    )
    message.save(force_insert=True)
    if message.due_at <= now:
        send(channel, [message])


def send(channel: Channel, messages: Sequence[Message]) -> Delivery:
    """One delivery of all of them, in the caller's transaction; in an inbox it has arrived with it."""
    body = messages[0].body if len(messages) == 1 else digest_of(channel, messages)
    subject = messages[0].about if len(messages) == 1 else channel.subject
    delivery = enqueue(channel, subject=subject, body=body)
    Message.objects.filter(pk__in=[message.pk for message in messages]).update(delivery=delivery)
    return delivery


def enqueue(channel: Channel, *, subject: str, body: dict[str, Any], **options: Any) -> Delivery:
    about = {"channel": channel.key, "subject": subject, "team": channel.team, "event": body["type"]}
    if channel.kind == ChannelKind.INBOX:
        return inbox.deliver(channel, body, about)
    return webhooks.enqueue(**about, body=body, **options)


def digest_of(channel: Channel, messages: Sequence[Message]) -> dict[str, Any]:
    """One body of many messages: each alert once, and what else there is, as it was said last, with all that happened
    to it; worst first."""
    latest: dict[str, dict[str, Any]] = {}
    for message in messages:
        events = latest.get(message.about, {}).get("events", [])
        latest[message.about] = {**message.body, "events": [*events, message.event]}
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


def _tell_people(people: QuerySet[User], body: dict[str, Any], subject: str, team: Team, phase: str) -> None:
    """Whoever may handle it, where the team has not said who wants to know. Letters are for who asked for them."""
    if phase == AlertEvent.RESOLVED:
        known = Notification.objects.filter(subject=subject, recipient__in=people).values("recipient")
        people = people.filter(pk__in=known)
    tell_people(people, inbox.note(body, subject), team=team, by_mail=False)


def _tell_in_person(alert: Alert, event: str, body: dict[str, Any]) -> None:
    """Whoever has it now, or the role that it has been passed on to, whatever the channels say."""
    assignee, role = alert.assignee, alert.escalated_to
    people: Iterable[User] = [assignee] if event == ASSIGNED and assignee else []
    if event == ESCALATED and role:
        people = inbox.people_of(alert.model.team, [role])
    beginning = "You have it now" if event == ASSIGNED else "It has come to you, for nobody looks at it yet"
    told = inbox.note(body, alert.subject)._replace(title=f"[{alert.severity}] {beginning}: {alert.summary}")
    tell_people(people, told, team=alert.model.team)
