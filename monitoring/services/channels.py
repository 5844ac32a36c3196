"""Where a team has its alerts told: set up, tried out, and what was held sent on."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from mlops_site.core import events, seals, webhooks
from mlops_site.core.errors import Conflict, Invalid, NotFound, TooManyRequests
from mlops_site.core.models import Delivery, Team
from mlops_site.core.permissions import Action, Actor, person, require, team_for
from monitoring.channels import TEST, routing
from monitoring.channels.delivery import module_of
from monitoring.choices import USUAL_EVENTS, AlertEvent, ChannelKind, Digest, Severity
from monitoring.models import Channel, Message
from monitoring.services.hours import quiet_hours, time_zone
from registry.models import RegisteredModel
from registry.services.guards import one_of, reason_given

MAX_CHANNELS, MAX_NAME, MAX_ADDRESS = 50, 80, 4000
TEST_ATTEMPTS = 1  # somebody waits for what comes of it
TESTS_A_MINUTE, MINUTE = 5, timedelta(minutes=1)  # of one channel: who stands behind it did not ask for them
_PLAIN = ("enabled", "critical_passes")


class Made(NamedTuple):
    """A channel, and the secret that its webhooks are signed with where a new one was made: it is not shown again."""

    channel: Channel
    secret: str


def create_channel(*, actor: Actor, kind: str, fields: Mapping[str, Any], team: str | None = None) -> Made:
    """A channel of a team. `fields`: name, address, enabled, models (names; none is all of the team), min_severity,
    events, digest, quiet_from and quiet_until (times), time_zone, critical_passes. Conflict `name_taken`."""
    with events.atomic():
        owner = team_for(actor, team, Action.CHANNEL_SET)
        return _created(owner, kind, fields, actor)


def _created(owner: Team, kind: str, fields: Mapping[str, Any], actor: Actor) -> Made:
    known = ChannelKind(one_of("kind", kind, list(ChannelKind.values)))
    if Channel.objects.kept().filter(team=owner).count() >= MAX_CHANNELS:
        raise Conflict(f"{owner} has {MAX_CHANNELS} channels already; delete one first", code="too_many")
    channel = Channel(team=owner, kind=known, created_by=person(actor), events=[str(event) for event in USUAL_EVENTS])
    secret = new_secret() if known == ChannelKind.WEBHOOK else ""
    channel.secret = seals.seal(secret) if secret else ""
    given = {"name": "", **fields}
    if known != ChannelKind.INBOX:
        given = {"address": "", **given}
    _written(channel, given, actor=actor, action="channel.created")
    return Made(channel, secret)


def change_channel(channel: Channel, *, actor: Actor, fields: Mapping[str, Any]) -> Channel:
    """Change what is named in `fields`; an address that is left out, or empty, stays."""
    kept = {name: value for name, value in fields.items() if name != "address" or value or _has_free_address(channel)}
    with events.atomic():
        require(actor, Action.CHANNEL_SET, channel.team, subject=channel.subject)
        row = _locked(channel)
        _written(row, kept, actor=actor, action="channel.changed")
    return row


def renew_secret(channel: Channel, *, actor: Actor) -> Made:
    """Another secret for a webhook, from its next try on. Conflict `no_secret` for the other kinds."""
    secret = new_secret()
    with events.atomic():
        require(actor, Action.CHANNEL_SET, channel.team, subject=channel.subject)
        if channel.kind != ChannelKind.WEBHOOK:
            raise Conflict(f"{channel} is of the kind {channel.kind}, which is not signed", code="no_secret")
        row = _locked(channel)
        row.secret = seals.seal(secret)
        row.save(update_fields=["secret", "updated_at"])
        _record("channel.secret_renewed", row, actor)
    return Made(row, secret)


def delete_channel(channel: Channel, *, actor: Actor) -> None:
    """It is told nothing more, what waits for it included; its log stays."""
    with events.atomic():
        require(actor, Action.CHANNEL_SET, channel.team, subject=channel.subject)
        row = _locked(channel)
        row.address, row.secret, row.enabled, row.deleted_at = "", "", False, timezone.now()
        row.save(update_fields=["address", "secret", "enabled", "deleted_at"])
        Message.objects.filter(channel=row, delivery=None).delete()
        webhooks.give_up(row.key, "the channel was deleted")
        _record("channel.deleted", row, actor, name=row.name, kind=str(row.kind))


def try_channel(channel: Channel, *, actor: Actor) -> Delivery:
    """A real message, at once, whatever its hours: one attempt, whose outcome is in its log. TooManyRequests
    `rate_limited` after `TESTS_A_MINUTE`."""
    with events.atomic():
        require(actor, Action.CHANNEL_SET, channel.team, subject=channel.subject)
        channel = _locked(channel)
        _check_tests(channel)
        _record("channel.tried", channel, actor)
        body = {
            "type": TEST,
            "id": str(channel.pk),
            "at": timezone.now().isoformat(),
            "channel": channel.name,
            "summary": f"A test of the channel {channel.name}",
            "detail": f"{actor.name} of team {channel.team} tries it out. Nothing is wrong.",
            "url": reverse("channel", args=[channel.pk]),
        }
        return routing.enqueue(channel, subject=channel.subject, body=body, most_attempts=TEST_ATTEMPTS)


def _check_tests(channel: Channel) -> None:
    since = timezone.now() - MINUTE
    if Delivery.objects.filter(channel=channel.key, event=TEST, created_at__gt=since).count() >= TESTS_A_MINUTE:
        message = f"{channel} was tried {TESTS_A_MINUTE} times within a minute; look at its log, then try again"
        raise TooManyRequests(message, code="rate_limited", retry_after_secs=int(MINUTE.total_seconds()))


def redeliver(delivery: Delivery, *, actor: Actor) -> Delivery:
    """Try once more what was given up. Conflict `wrong_state` if it was not."""
    with events.atomic():
        require(actor, Action.CHANNEL_SET, delivery.team, subject=f"delivery:{delivery.pk}")
        if not webhooks.send_again(delivery):
            message = f"the delivery is {delivery.get_state_display()}; only one that was given up is sent again"
            raise Conflict(message, code="wrong_state")
        subject, team = f"delivery:{delivery.pk}", delivery.team.name
        events.record("delivery.sent_again", actor=actor, subject=subject, team=team)
    delivery.refresh_from_db()
    return delivery


def send_held(now: datetime | None = None) -> int:
    """Send what was held and may go by now, one delivery a channel; how many. Two at the same moment share the work:
    the channel's row is locked."""
    clock, sent = now or timezone.now(), 0
    waiting = Message.objects.filter(delivery=None, due_at__lte=clock)
    for pk in waiting.order_by().values_list("channel", flat=True).distinct():
        with transaction.atomic():
            sent += _send_of(Channel.objects.select_for_update(of=("self",)).filter(pk=pk), waiting)
    return sent


def _send_of(channels: QuerySet[Channel], waiting: QuerySet[Message]) -> int:
    channel = channels.select_related("team").first()
    messages = list(waiting.filter(channel=channel).select_related("alert").order_by("pk")) if channel else []
    if channel is None or not messages:
        return 0
    if not channel.enabled:
        Message.objects.filter(pk__in=[message.pk for message in messages]).delete()
        return 0
    routing.send(channel, messages)
    return 1


def _locked(channel: Channel) -> Channel:
    """The row as it is now, for whoever writes it; NotFound if it was deleted meanwhile."""
    rows = Channel.objects.kept().select_for_update(of=("self",), no_key=True).select_related("team")
    found = rows.filter(pk=channel.pk).first()
    if found is None:
        raise NotFound(f"no channel {channel.pk} here any more", code="unknown_channel")
    return found


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"


def _has_free_address(channel: Channel) -> bool:
    """Whether no address is one too."""
    return channel.kind == ChannelKind.INBOX


def _written(channel: Channel, fields: Mapping[str, Any], *, actor: Actor, action: str) -> None:
    said = {name: _checked(channel, name, value) for name, value in fields.items() if name not in ("address", "models")}
    for name, value in said.items():
        setattr(channel, name, value)
    quiet_hours(channel.quiet_from, channel.quiet_until)
    place = _place(channel, str(fields["address"])) if "address" in fields else channel.place
    if channel.kind == ChannelKind.INBOX and not place:
        place = module_of(channel.kind).checked("", channel.team)
    channel.place = place
    chosen = _models(channel.team, fields["models"] or []) if "models" in fields else None
    try:
        with events.atomic():
            channel.save()
            if chosen is not None:
                channel.chosen.set(chosen)
            _record(action, channel, actor, name=channel.name, kind=str(channel.kind), place=channel.place)
    except IntegrityError as error:
        raise Conflict(f"{channel.team} has a channel {channel.name!r} already", code="name_taken") from error


def _place(channel: Channel, address: str) -> str:
    """Check the address, seal it into the channel, and answer what may be shown of it."""
    text = address.strip()
    if len(text) > MAX_ADDRESS:
        message = f"address must have at most {MAX_ADDRESS} characters but has {len(text)}"
        raise Invalid.on("address", message, code="too_long")
    if not text and not _has_free_address(channel):
        raise Invalid.on("address", "address must say where to but is empty", code="required")
    place: str = module_of(channel.kind).checked(text, channel.team)
    channel.address = seals.seal(text) if text else ""
    return place


def _checked(channel: Channel, name: str, value: Any) -> Any:
    if name == "name":
        said = reason_given(value, field="name")
        if len(said) > MAX_NAME or "\n" in said:
            raise Invalid.on("name", f"name must be one line of at most {MAX_NAME} characters", code="bad_name")
        return said
    if name == "events":
        chosen = [one_of("events", str(event), list(AlertEvent.values)) for event in value]
        if not chosen:
            raise Invalid.on("events", "events must name at least one", code="required")
        return [event for event in AlertEvent.values if event in chosen]
    if name == "min_severity":
        return one_of(name, value, list(Severity.values))
    if name == "digest":
        return one_of(name, value, list(Digest.values))
    return time_zone(value) if name == "time_zone" else bool(value) if name in _PLAIN else value


def _models(team: Team, names: list[str]) -> list[RegisteredModel]:
    found = {model.name: model for model in RegisteredModel.objects.filter(team=team, name__in=names)}
    if missing := [name for name in names if name not in found]:
        message = f"models must be models of {team} but got {str(missing[0])[:80]!r}"
        raise Invalid.on("models", message, code="unknown_model")
    return list(found.values())


def _record(action: str, channel: Channel, actor: Actor, **data: Any) -> None:
    events.record(action, actor=actor, subject=channel.subject, team=channel.team.name, data=data)
