"""Writes of monitoring: answers, labels, folding, reports, alerts, retraining."""

from monitoring.services.alerts import acknowledge_alert, raise_alerts, resolve_alert, silence_alert
from monitoring.services.answers import Draft, answers_kept, log_answers

__all__ = [
    "Draft",
    "acknowledge_alert",
    "answers_kept",
    "log_answers",
    "raise_alerts",
    "resolve_alert",
    "silence_alert",
]
