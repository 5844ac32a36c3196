"""What becomes of an alert that nobody acknowledges."""

from __future__ import annotations

import logging
from datetime import datetime
from uuid import UUID

from mlops_site.core import events
from monitoring import channels
from monitoring.choices import AlertStatus, Rule, Severity
from monitoring.models import Alert
from monitoring.selectors.rules import rules_of
from monitoring.selectors.silences import has_silence, is_silenced
from monitoring.services.alerts import SYSTEM, complete, note

ESCALATED = "alert.escalated"
PASS = 500  # alerts of one sweep
log = logging.getLogger(__name__)


def escalate_alerts(now: datetime) -> int:
    """Take the step that is due of every open alert, one step each: how many were taken. A silenced one waits for the
    end of its silence. Any number of sweeps share the work, and what goes wrong with one alert stops no other."""
    due = Alert.objects.filter(~has_silence(), status=AlertStatus.OPEN, escalates_at__lte=now)
    taken = 0
    for pk in due.order_by("escalates_at").values_list("pk", flat=True)[:PASS]:
        try:
            taken += escalate(pk, now)
        except Exception:
            log.exception("alert %s could not be escalated", pk)
    return taken


def escalate(pk: UUID, now: datetime) -> bool:
    """Whether a step was taken: not where another sweep has the row, somebody has acknowledged it, or its rule has no
    such step any more."""
    with events.atomic():
        rows = Alert.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
        row = complete(rows).filter(pk=pk, status=AlertStatus.OPEN, escalates_at__lte=now).first()
        if row is None or is_silenced(row):
            return False
        rule = rules_of(row.model)[Rule(row.rule)]
        step = rule.escalation[row.escalations] if row.escalations < len(rule.escalation) else None
        before, row.escalates_at = row.severity, None
        if step is not None:
            row.severity, row.escalated_to = worse(row.severity, step.severity), step.role
            row.escalations += 1
            row.escalates_at = rule.escalates_at(row.first_seen_at, row.escalations)
        row.save(update_fields=["severity", "escalated_to", "escalations", "escalates_at"])
        if step is None:
            return False
        data = {"step": row.escalations, "from": before, "severity": row.severity, "role": step.role}
        note(row, ESCALATED, SYSTEM, **data)
        channels.tell(row, ESCALATED)
    return True


def worse(severity: str, other: str) -> str:
    """The worse of two severities, the second of which may be empty."""
    order = list(Severity.values)
    return other if other and order.index(other) < order.index(severity) else severity
