"""Alerts: raised by reports, one unresolved per model, rule and subject; handled by people."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.permissions import Action, Actor, person, require
from monitoring import channels, signals
from monitoring.choices import SEVERITY_OF, UNRESOLVED, AlertStatus, Rule
from monitoring.models import Alert, Report
from monitoring.selectors.alerts import is_silenced
from registry.models import RegisteredModel, Review, Version
from registry.services.guards import reason_given

MAX_SILENCE_HOURS = 720
TRIES = 5
MAX_SUBJECT, MAX_SUMMARY = 128, 300  # what the columns hold


class Source(NamedTuple):
    """What an alert is about, and the report that found it, if one did."""

    version: Version
    report: Report | None


def raise_alerts(report: Report) -> list[Alert]:
    """The alerts of a report's findings that are marked `raised`, in the caller's transaction: one that is unresolved
    counts up and takes the newest evidence, another is made, recorded, and told unless its subject is silenced.

    A finding is {"rule", "subject", "summary", "evidence", "raised"}.
    """
    raised = [finding for finding in report.findings if finding["raised"]]
    with events.atomic():
        # in one order everywhere, so that two reports at the same moment wait for each other and never in a circle
        of = Source(report.version, report)
        return [_raise(of, finding) for finding in sorted(raised, key=lambda f: (f["rule"], f["subject"]))]


def raise_revalidation(review: Review) -> Alert | None:
    """The condition of an approval is open and its day has passed: an alert, once a condition. Whoever resolves it has
    decided that this can wait, and closing the condition resolves it."""
    version, subject = review.request.version, condition_key(review)
    about = {"model": version.model, "rule": Rule.REVALIDATION, "subject_key": subject}
    with events.atomic():
        if Alert.objects.filter(**about).exists():
            return None
        due = f"{review.revalidate_on:%d %b %Y}"
        summary = f"{version} was to be validated again by {due}: {review.condition}"
        evidence: dict[str, Any] = {"condition": review.condition, "revalidate_on": str(review.revalidate_on)}
        evidence |= {"approved_by": review.reviewer.username, "request": review.request_id}
        finding = {"rule": Rule.REVALIDATION, "subject": subject, "summary": summary, "evidence": evidence}
        return _raise(Source(version, None), finding)


def resolve_revalidation(review: Review, *, actor: Actor, comment: str) -> None:
    """The condition was closed: nobody need be told any more."""
    about = {"model": review.request.model, "rule": Rule.REVALIDATION, "subject_key": condition_key(review)}
    whole = replace(actor, scopes=None)  # it follows from a deed that the token did allow
    for alert in Alert.objects.filter(**about, status__in=UNRESOLVED).select_related("model__team"):
        resolve_alert(alert, actor=whole, comment=comment)


def condition_key(review: Review) -> str:
    return f"condition {review.pk}"


def raise_experiment(version: Version, *, subject: str, summary: str, evidence: dict[str, Any]) -> Alert:
    """Something that people must know of an experiment with `version`, whose alerts begin alike; see
    `resolve_experiment`."""
    finding = {"rule": Rule.EXPERIMENT, "subject": subject, "summary": summary, "evidence": evidence}
    with events.atomic():
        return _raise(Source(version, None), finding)


def resolve_experiment(model: RegisteredModel, *, subject: str, actor: Actor, comment: str) -> None:
    """The experiment has ended: nobody need look at any alert whose subject begins so."""
    about = {"model": model, "rule": Rule.EXPERIMENT, "subject_key__startswith": subject}
    rows = Alert.objects.select_for_update(of=("self",), no_key=True).filter(**about, status__in=UNRESOLVED)
    with events.atomic():
        for alert in _complete(rows).order_by("pk"):
            _close(alert, actor, comment)


def _raise(of: Source, finding: dict[str, Any]) -> Alert:
    alert, is_new = _counted(of, finding)
    if is_new:
        team, data = alert.model.team.name, {"summary": alert.summary, "severity": str(alert.severity)}
        data |= {"report": str(of.report.pk) if of.report else "", "version": alert.version.number}
        events.record(channels.RAISED, actor=Actor.system("monitoring"), subject=alert.subject, team=team, data=data)
        if not is_silenced(alert):
            channels.tell(alert, channels.RAISED)
    signals.alert_raised.send(sender=Alert, alert=alert, is_new=is_new)
    return alert


def _counted(of: Source, finding: dict[str, Any]) -> tuple[Alert, bool]:
    """The unresolved alert, counted up, or a new one. Two who find none at the same moment both insert: the constraint
    one_unresolved_alert lets one through, and the other counts up on the next turn."""
    rule, subject = Rule(finding["rule"]), _subject_key(str(finding["subject"]))
    about = {"model": of.version.model, "rule": rule, "subject_key": subject}
    seen = {"summary": finding["summary"][:MAX_SUMMARY], "evidence": finding["evidence"], "report": of.report}
    for _ in range(TRIES):
        rows = Alert.objects.filter(**about, status__in=UNRESOLVED)
        if rows.update(count=F("count") + 1, last_seen_at=timezone.now(), **seen):
            return _complete(rows).get(), False  # still there: the row is locked
        try:
            with transaction.atomic():
                fresh = {"version": of.version, "severity": SEVERITY_OF[rule]}
                return Alert.objects.create(**about, **seen, **fresh), True
        except IntegrityError:
            continue
    raise Conflict(f"the alert on {rule} {subject!r} of {of.version.model.name} changes too often; ask again")


def _subject_key(subject: str) -> str:
    """The subject; a longer one than the column holds ends in a digest, so that two that begin alike stay two."""
    if len(subject) <= MAX_SUBJECT:
        return subject
    tail = f"… {hashlib.sha256(subject.encode()).hexdigest()[:12]}"
    return subject[: MAX_SUBJECT - len(tail)] + tail


def acknowledge_alert(alert: Alert, *, actor: Actor, comment: str = "") -> Alert:
    """Say that somebody looks at it. Conflict `wrong_state` unless it is open."""
    said = reason_given(comment, field="comment", needed=False)
    with events.atomic():
        row = _row(alert, actor, (AlertStatus.OPEN,), "acknowledged")
        row.status, row.comment = AlertStatus.ACKNOWLEDGED, said
        row.acknowledged_by, row.acknowledged_at = person(actor), timezone.now()
        row.save(update_fields=["status", "comment", "acknowledged_by", "acknowledged_at"])
        _record(row, "alert.acknowledged", actor, comment=said)
    return row


def resolve_alert(alert: Alert, *, actor: Actor, comment: str = "") -> Alert:
    """Close it; the next finding opens another. Conflict `wrong_state` if it is closed already."""
    said = reason_given(comment, field="comment", needed=False)
    with events.atomic():
        row = _row(alert, actor, UNRESOLVED, "resolved")
        person(actor)
        _close(row, actor, said)
    return row


def _close(alert: Alert, actor: Actor, comment: str) -> None:
    alert.status, alert.comment = AlertStatus.RESOLVED, comment
    alert.resolved_by, alert.resolved_at = actor.user, timezone.now()
    alert.save(update_fields=["status", "comment", "resolved_by", "resolved_at"])
    _record(alert, channels.RESOLVED, actor, comment=comment)
    channels.tell(alert, channels.RESOLVED)
    signals.alert_resolved.send(sender=Alert, alert=alert)


def silence_alert(alert: Alert, *, actor: Actor, hours: object, comment: str = "") -> Alert:
    """Deliver nothing new about its model, rule and subject for 1 to 720 hours; it still counts. Conflict
    `wrong_state` if it is resolved."""
    if isinstance(hours, bool) or not isinstance(hours, int) or not 1 <= hours <= MAX_SILENCE_HOURS:
        message = f"hours must be a whole number from 1 to {MAX_SILENCE_HOURS} but got {hours!r:.80}"
        raise Invalid.on("hours", message, code="out_of_range")
    said = reason_given(comment, field="comment", needed=False)
    with events.atomic():
        row = _row(alert, actor, UNRESOLVED, "silenced")
        row.silenced_until = timezone.now() + timedelta(hours=hours)
        row.save(update_fields=["silenced_until"])
        _record(row, "alert.silenced", actor, comment=said, until=row.silenced_until.isoformat())
    return row


def _row(alert: Alert, actor: Actor, states: tuple[AlertStatus, ...], done: str) -> Alert:
    """The alert as it is now, locked, for who may handle it."""
    require(actor, Action.ALERT_HANDLE, alert.model.team, subject=alert.subject)
    row = _complete(Alert.objects.select_for_update(of=("self",), no_key=True)).get(pk=alert.pk)
    if row.status not in states:
        message = f"the alert is {row.get_status_display()}; only one that is {' or '.join(states)} can be {done}"
        raise Conflict(message, code="wrong_state")
    return row


def _complete(rows: QuerySet[Alert]) -> QuerySet[Alert]:
    chosen = rows.select_related("model__team", "version__model")
    return chosen.defer("version__reference", "version__golden", "version__signature")


def _record(alert: Alert, action: str, actor: Actor, **data: Any) -> None:
    events.record(action, actor=actor, subject=alert.subject, team=alert.model.team.name, data=data)
