"""What happens to an alert next, in sentences: the same on its page and in the API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from mlops_site.core.choices import Role
from mlops_site.core.models import AuditRecord
from mlops_site.core.templatetags.steward import span
from monitoring.choices import UNRESOLVED, AlertStatus, Outcome, Rule
from monitoring.models import Alert, RetrainDecision, RetrainPolicy
from monitoring.selectors.rules import RuleInForce

_ENDS = {
    Rule.REVALIDATION: "Closing the condition of the approval resolves it.",
    Rule.EXPERIMENT: "The end of the experiment resolves it.",
    Rule.NO_DATA: "It resolves by itself when they arrive again.",
}
ROLES = dict(Role.choices)
_DEEDS = {
    "alert.raised": "raised",
    "alert.acknowledged": "acknowledged",
    "alert.assigned": "assigned",
    "alert.commented": "said",
    "alert.escalated": "escalated",
    "alert.resolved": "resolved",
    "alert.silenced": "silenced",
}


def outlook(alert: Alert, rule: RuleInForce, policy: RetrainPolicy, decisions: Iterable[RetrainDecision]) -> list[str]:
    """Escalation, end, silence and training again, in that order. `alert` has `silenced_until`."""
    is_open, taken = alert.status in UNRESOLVED, [row for row in decisions if row.outcome == Outcome.TAKEN]
    said = [_escalation(alert, rule), _end(alert, rule), _silence(alert)] if is_open else [_ended(alert)]
    training = f"Retraining was started: run {str(taken[0].run_id)[:8]}." if taken else ""
    return [
        sentence
        for sentence in [*said, training or (policy_sentence(policy, Rule(alert.rule)) if is_open else "")]
        if sentence
    ]


def _escalation(alert: Alert, rule: RuleInForce) -> str:
    rose = alert.severity if alert.severity != rule.severity else ""
    done = f"It escalated to {_to(rose, alert.escalated_to, alert)}. " if alert.escalations else ""
    if alert.status == AlertStatus.ACKNOWLEDGED:
        return f"{done}It escalates no more: {alert.acknowledged_by} looks at it."
    if alert.escalates_at is None or alert.escalations >= len(rule.escalation):
        return done.strip() or "It does not escalate."
    step = rule.escalation[alert.escalations]
    at, silent = alert.escalates_at, alert.silenced_until
    when = f"once its silence ends at {moment(silent)}" if silent and silent > at else f"at {moment(at)}"
    return f"{done}It escalates to {_to(step.severity, step.role, alert)} {when} unless somebody acknowledges it."


def _to(severity: str, role: str, alert: Alert) -> str:
    people = f"every {ROLES.get(role, role)} of {alert.model.team}" if role else ""
    return " and to ".join(filter(None, [severity, people]))


def _end(alert: Alert, rule: RuleInForce) -> str:
    if sentence := _ENDS.get(Rule(alert.rule)):
        return sentence
    if rule.resolve_after is None:
        return "It stays until somebody resolves it."
    needed = (
        "one scheduled report does"
        if rule.resolve_after == 1
        else f"{rule.resolve_after} scheduled reports in a row do"
    )
    return f"It resolves by itself when {needed} not find it: {alert.clean_reports} so far."


def _silence(alert: Alert) -> str:
    return f"Nothing about it is delivered until {moment(alert.silenced_until)}." if alert.silenced_until else ""


def _ended(alert: Alert) -> str:
    return "It is over; the next finding opens another."


def moment(at: datetime) -> str:
    """
    >>> from datetime import UTC
    >>> moment(datetime(2026, 11, 30, 14, 30, tzinfo=UTC))
    '14:30 UTC on 30 Nov 2026'
    """
    return f"{at:%H:%M} UTC on {at:%d %b %Y}"


def policy_sentence(policy: RetrainPolicy, rule: Rule) -> str:
    """What the retrain policy makes of such an alert."""
    limits = {
        Rule.PERFORMANCE: (policy.performance_degradation, "the metric has fallen by {:g} or more"),
        Rule.DRIFT: (policy.data_drift_score, "the drift score is {:g} or more"),
        Rule.VOLUME: (policy.prediction_volume_drop, "predictions have fallen by {:.0%} or more"),
    }
    limit, words = limits.get(rule, (None, ""))
    if not policy.enabled:
        return "No retrain policy is in force: nothing is trained again by itself."
    if limit is None:
        return f"The retrain policy does not react to {rule.label}."
    when = words.format(limit)
    rest = f"at most once in {span(policy.cool_down)}" if policy.cool_down else "as often as it happens"
    return f"The model is trained again when {when}, {rest}, with at least {policy.min_labels:,} new labels."


class Happened(NamedTuple):
    """One thing that happened to an alert: when, what in one word, by whom, and what was said or changed."""

    at: datetime
    deed: str
    by: str
    said: str


def happenings(records: Sequence[AuditRecord]) -> list[Happened]:
    """The audit records of an alert as its story."""
    return [
        Happened(row.at, _DEEDS.get(row.action, row.action), row.actor, _said(row.action, row.data)) for row in records
    ]


def _said(action: str, data: dict[str, Any]) -> str:
    comment = str(data.get("comment") or "")
    if action == "alert.raised":
        return str(data.get("summary", ""))
    if action == "alert.assigned":
        said = f"to {data['assignee']}" if data.get("assignee") else "to nobody"
        return f"{said}: {comment}" if comment else said
    if action == "alert.escalated":
        rose = f"from {data['from']} to {data['severity']}" if data["from"] != data["severity"] else ""
        told = f"every {ROLES.get(data['role'], data['role'])} is told" if data.get("role") else ""
        return ", ".join(filter(None, [rose, told]))
    if action == "alert.silenced":
        until = f"until {moment(datetime.fromisoformat(data['until']))}"
        return f"{until}: {comment}" if comment else until
    return comment
