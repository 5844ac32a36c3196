"""The alerts of a window, as its timeline shows them."""

from __future__ import annotations

from django.db.models import Q

from monitoring.models import Alert
from monitoring.plots.spells import Spell
from monitoring.selectors.periods import Period
from registry.models import RegisteredModel

MOST = 100


def spells(model: RegisteredModel, period: Period) -> list[Spell]:
    """Alerts that stood at some time of the window, the newest first; one query."""
    still = Q(resolved_at=None) | Q(resolved_at__gte=period.start)
    rows = Alert.objects.filter(still, model=model, first_seen_at__lt=period.end).order_by("-first_seen_at")
    return [_spell(alert, period) for alert in rows.defer("evidence")[:MOST]]


def _spell(alert: Alert, period: Period) -> Spell:
    rule = str(alert.get_rule_display())
    subject = f"{rule}: {alert.subject_key}" if alert.subject_key else rule
    end = alert.resolved_at or max(period.end, alert.last_seen_at)
    return Spell(subject, alert.severity, alert.first_seen_at, end, alert.resolved_at is None, alert.summary)
