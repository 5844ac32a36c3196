"""Writes of monitoring: answers, labels, folding, reports, alerts, retraining."""

from mlops_site.core.rows import Ingested
from monitoring.services.alerts import (
    acknowledge_alert,
    raise_alerts,
    raise_experiment,
    raise_revalidation,
    resolve_alert,
    resolve_experiment,
    resolve_revalidation,
    silence_alert,
)
from monitoring.services.answers import Draft, answers_kept, log_answers
from monitoring.services.batches import cancel_scoring, forget_pieces, opened_result, request_scoring
from monitoring.services.compaction import compact
from monitoring.services.explanations import explain_prediction, explain_predictions, request_explanations
from monitoring.services.folding import fold, fold_all
from monitoring.services.ingest import log_prediction, log_predictions
from monitoring.services.labels import log_labels
from monitoring.services.policies import drop_retrain_policy, set_retrain_policy, set_team_retrain_policy
from monitoring.services.rehearsal import dry_run_policy
from monitoring.services.reports import keep_report, request_report
from monitoring.services.retraining import trigger_retraining
from monitoring.services.schedules import set_schedule
from monitoring.services.settling import settle
from monitoring.services.totals import count_totals

__all__ = [
    "Draft",
    "Ingested",
    "acknowledge_alert",
    "answers_kept",
    "cancel_scoring",
    "compact",
    "count_totals",
    "drop_retrain_policy",
    "dry_run_policy",
    "explain_prediction",
    "explain_predictions",
    "fold",
    "fold_all",
    "forget_pieces",
    "keep_report",
    "log_answers",
    "log_labels",
    "log_prediction",
    "log_predictions",
    "opened_result",
    "raise_alerts",
    "raise_experiment",
    "raise_revalidation",
    "request_explanations",
    "request_report",
    "request_scoring",
    "resolve_alert",
    "resolve_experiment",
    "resolve_revalidation",
    "set_retrain_policy",
    "set_schedule",
    "set_team_retrain_policy",
    "settle",
    "silence_alert",
    "trigger_retraining",
]
