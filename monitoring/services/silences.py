"""Silences: set on an alert, or in advance on what will be raised."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.permissions import Action, Actor, person, require
from monitoring.choices import UNRESOLVED, Rule
from monitoring.models import Alert, Silence
from monitoring.services.alerts import note, subject_key
from monitoring.services.handling import row_for
from registry.models import RegisteredModel
from registry.services.guards import one_of, reason_given

MAX_SILENCE_HOURS = 720
AHEAD = timedelta(days=366)


def silence_alert(alert: Alert, *, actor: Actor, hours: object, comment: str = "") -> Alert:
    """Deliver nothing new about its model, rule and subject for 1 to 720 hours; it still counts. Conflict
    `wrong_state` if it is resolved."""
    length = _length(hours)
    said = reason_given(comment, field="comment", needed=False)
    with events.atomic():
        row = row_for(alert, actor, UNRESOLVED, "silenced")
        now = timezone.now()
        about = {"model": row.model, "rule": row.rule, "subject_key": row.subject_key}
        made = Silence.objects.create(
            **about, reason=said, starts_at=now, ends_at=now + length, created_by=actor.user, created_at=now
        )
        row.silenced_until = made.ends_at
        note(row, "alert.silenced", actor, comment=said, until=made.ends_at.isoformat())
    return row


def silence(
    model: RegisteredModel,
    *,
    actor: Actor,
    reason: str,
    hours: object,
    rule: str = "",
    subject: str | None = None,
    starts_at: datetime | None = None,
) -> Silence:
    """Deliver nothing about the model's alerts of a rule (any, if empty) on a subject (any, if None; "" is the whole
    model) for 1 to 720 hours from now, or from a later moment within a year. Invalid, Forbidden."""
    length, said = _length(hours), reason_given(reason)
    if rule:
        one_of("rule", rule, list(Rule.values))
    now = timezone.now()
    start = now if starts_at is None else starts_at
    if not now - timedelta(minutes=1) <= start <= now + AHEAD:
        message = f"starts_at must be from now to {AHEAD.days} days ahead but got {start.isoformat()}"
        raise Invalid.on("starts_at", message, code="out_of_range")
    key = subject_key(reason_given(subject or "", field="subject", needed=False))
    with events.atomic():
        require(actor, Action.ALERT_HANDLE, model.team, subject=model.subject)
        made = Silence.objects.create(
            model=model,
            rule=rule,
            subject_key=key,
            every_subject=subject is None,
            reason=said,
            starts_at=start,
            ends_at=start + length,
            created_by=person(actor),
            created_at=now,
        )
        data = {"model": model.name, "rule": rule, "subject": None if subject is None else key, "reason": said}
        data |= {"from": start.isoformat(), "until": made.ends_at.isoformat()}
        events.record("silence.set", actor=actor, subject=made.subject, team=model.team.name, data=data)
    return made


def end_silence(row: Silence, *, actor: Actor, comment: str = "") -> Silence:
    """End it now, or before it begins. Conflict `wrong_state` if it is over."""
    said = reason_given(comment, field="comment", needed=False)
    with events.atomic():
        require(actor, Action.ALERT_HANDLE, row.model.team, subject=row.subject)
        now = timezone.now()
        lasting = Silence.objects.filter(pk=row.pk, ended_at=None, ends_at__gt=now)
        if not lasting.update(ended_at=now, ended_by=person(actor)):
            raise Conflict(f"silence {row.pk} is over already", code="wrong_state")
        data = {"comment": said, "model": row.model.name}
        events.record("silence.ended", actor=actor, subject=row.subject, team=row.model.team.name, data=data)
    row.refresh_from_db()
    return row


def _length(hours: object) -> timedelta:
    if isinstance(hours, bool) or not isinstance(hours, int) or not 1 <= hours <= MAX_SILENCE_HOURS:
        message = f"hours must be a whole number from 1 to {MAX_SILENCE_HOURS} but got {hours!r:.80}"
        raise Invalid.on("hours", message, code="out_of_range")
    return timedelta(hours=hours)
