"""Writes of monitoring: answers, labels, folding, reports, alerts, retraining."""

from monitoring.services.alerts import acknowledge_alert, raise_alerts, resolve_alert, silence_alert
from monitoring.services.answers import Draft, answers_kept, log_answers
from monitoring.services.compaction import compact
from monitoring.services.folding import fold, fold_all

__all__ = [
    "Draft",
    "acknowledge_alert",
    "answers_kept",
    "compact",
    "fold",
    "fold_all",
    "log_answers",
    "raise_alerts",
    "resolve_alert",
    "silence_alert",
]
