"""Alerts: raised by reports and by what else people must know, one unresolved per model, rule and subject."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Actor
from monitoring import channels, signals
from monitoring.choices import UNRESOLVED, AlertStatus, Rule
from monitoring.models import Alert, Report
from monitoring.selectors.rules import RuleInForce, rules_of
from monitoring.selectors.silences import is_silenced
from registry.models import RegisteredModel, Review, Version
from registry.services.guards import locked

SYSTEM = Actor.system("monitoring")
TRIES = 5
MAX_SUBJECT, MAX_SUMMARY = 128, 300  # what the columns hold
TOGETHER = timedelta(hours=2)  # alerts of a version that begin so close to one another are one group


class Source(NamedTuple):
    """What an alert is about, and the report that found it, if one did."""

    version: Version
    report: Report | None
    rules: dict[Rule, RuleInForce]
    group: UUID | None = None  # that a new one joins; None: it begins its own


def raise_alerts(report: Report) -> list[Alert]:
    """The alerts of a report's findings that are marked `raised`, in the caller's transaction: one that is unresolved
    counts up and takes the newest evidence, another is made, recorded, and told unless its subject is silenced. New
    ones join the group of what began shortly before. What an alert is about and the report does not find any more is
    counted towards its end (see services.recoveries).

    A finding is {"rule", "subject", "summary", "evidence", "raised"}. Reports on one model follow one another.
    """
    with locked(report.model) as model:
        raised = [finding for finding in report.findings if finding["raised"]]
        of = Source(report.version, report, rules_of(model), group_now(report.version))
        found = []
        for finding in sorted(raised, key=lambda each: (each["rule"], each["subject"])):
            alert = raise_one(of, finding)
            of = of._replace(group=of.group or alert.group_key)
            found.append(alert)
        return found


def group_now(version: Version) -> UUID | None:
    """The group that an alert on the version joins now: that of its latest unresolved one, if it is recent."""
    rows = Alert.objects.filter(version=version, status__in=UNRESOLVED, group_key__isnull=False)
    rows = rows.exclude(rule__in=[Rule.REVALIDATION, Rule.EXPERIMENT])  # those have causes of their own
    recent = rows.filter(first_seen_at__gte=timezone.now() - TOGETHER).order_by("-first_seen_at")
    return recent.values_list("group_key", flat=True).first()


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
        return raise_one(Source(version, None, rules_of(version.model)), finding)


def resolve_revalidation(review: Review, *, actor: Actor, comment: str) -> None:
    """The condition was closed: nobody need be told any more."""
    about = {"model": review.request.model, "rule": Rule.REVALIDATION, "subject_key": condition_key(review)}
    with events.atomic():
        for alert in unresolved(**about):
            close(alert, replace(actor, scopes=None), comment)  # it follows from a deed that the token did allow


def condition_key(review: Review) -> str:
    return f"condition {review.pk}"


def raise_experiment(version: Version, *, subject: str, summary: str, evidence: dict[str, Any]) -> Alert:
    """Something that people must know of an experiment with `version`, whose alerts begin alike; see
    `resolve_experiment`."""
    finding = {"rule": Rule.EXPERIMENT, "subject": subject, "summary": summary, "evidence": evidence}
    with events.atomic():
        return raise_one(Source(version, None, rules_of(version.model)), finding)


def resolve_experiment(model: RegisteredModel, *, subject: str, actor: Actor, comment: str) -> None:
    """The experiment has ended: nobody need look at any alert whose subject begins so."""
    with events.atomic():
        for alert in unresolved(model=model, rule=Rule.EXPERIMENT, subject_key__startswith=subject):
            close(alert, actor, comment)


def raise_one(of: Source, finding: dict[str, Any]) -> Alert:
    """The alert of a finding, counted up or new; the newest evidence stands, and no clean report counts any more."""
    alert, is_new = _counted(of, finding)
    if is_new:
        team, data = alert.model.team.name, {"summary": alert.summary, "severity": str(alert.severity)}
        data |= {"report": str(of.report.pk) if of.report else "", "version": alert.version.number}
        data |= {"group": str(alert.group_key)} if alert.group_key != alert.pk else {}
        events.record(channels.RAISED, actor=SYSTEM, subject=alert.subject, team=team, data=data)
        if not is_silenced(alert):
            channels.tell(alert, channels.RAISED)
    signals.alert_raised.send(sender=Alert, alert=alert, is_new=is_new)
    return alert


def _counted(of: Source, finding: dict[str, Any]) -> tuple[Alert, bool]:
    """The unresolved alert, counted up, or a new one. Two who find none at the same moment both insert: the constraint
    one_unresolved_alert lets one through, and the other counts up on the next turn."""
    rule, subject = Rule(finding["rule"]), subject_key(str(finding["subject"]))
    about = {"model": of.version.model, "rule": rule, "subject_key": subject}
    seen = {"summary": finding["summary"][:MAX_SUMMARY], "evidence": finding["evidence"], "report": of.report}
    for _ in range(TRIES):
        rows = Alert.objects.filter(**about, status__in=UNRESOLVED)
        if rows.update(count=F("count") + 1, last_seen_at=timezone.now(), clean_reports=0, **seen):
            return complete(rows).get(), False  # still there: the row is locked
        try:
            with transaction.atomic():
                return Alert.objects.create(**about, **seen, **_fresh(of, of.rules[rule])), True
        except IntegrityError:
            continue
    raise Conflict(f"the alert on {rule} {subject!r} of {of.version.model.name} changes too often; ask again")


def _fresh(of: Source, rule: RuleInForce) -> dict[str, Any]:
    pk, now = uuid4(), timezone.now()
    return {
        "id": pk,
        "version": of.version,
        "first_report": of.report,
        "group_key": of.group or pk,
        "severity": rule.severity,
        "escalates_at": rule.escalates_at(now),
        "first_seen_at": now,
        "last_seen_at": now,
    }


def subject_key(subject: str) -> str:
    """The subject; a longer one than the column holds ends in a digest, so that two that begin alike stay two."""
    if len(subject) <= MAX_SUBJECT:
        return subject
    tail = f"… {hashlib.sha256(subject.encode()).hexdigest()[:12]}"
    return subject[: MAX_SUBJECT - len(tail)] + tail


def close(alert: Alert, actor: Actor, comment: str, *, report: Report | None = None) -> None:
    """The end of a locked alert: said by a person, by what it was about, or by the clean report that was the last one
    needed."""
    alert.status, alert.comment = AlertStatus.RESOLVED, comment
    alert.resolved_by, alert.resolved_at, alert.resolved_report = actor.user, timezone.now(), report
    alert.escalates_at = None
    fields = ["status", "comment", "resolved_by", "resolved_at", "resolved_report", "escalates_at"]
    alert.save(update_fields=[*fields, "clean_reports", "clean_to"])
    named = {"report": str(report.pk)} if report else {}
    note(alert, channels.RESOLVED, actor, comment=comment, **named)
    channels.tell(alert, channels.RESOLVED)
    signals.alert_resolved.send(sender=Alert, alert=alert)


def unresolved(**about: Any) -> QuerySet[Alert]:
    """Such alerts, locked, in one order everywhere."""
    return complete(locked_rows()).filter(**about, status__in=UNRESOLVED).order_by("pk")


def locked_rows() -> QuerySet[Alert]:
    return Alert.objects.select_for_update(of=("self",), no_key=True)


def complete(rows: QuerySet[Alert]) -> QuerySet[Alert]:
    """With all that is told of an alert."""
    chosen = rows.select_related("model__team", "version__model")
    return chosen.defer("version__reference", "version__golden", "version__signature")


def note(alert: Alert, action: str, actor: Actor, **data: Any) -> None:
    """Into the audit chain, of which the page shows what happened to the alert."""
    events.record(action, actor=actor, subject=alert.subject, team=alert.model.team.name, data=data)
