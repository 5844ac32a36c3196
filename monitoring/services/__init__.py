"""Writes of monitoring: answers, labels, folding, reports, alerts, retraining."""

from mlops_site.core.rows import Ingested
from monitoring.services.alerts import (
    raise_alerts,
    raise_experiment,
    raise_revalidation,
    resolve_experiment,
    resolve_revalidation,
)
from monitoring.services.answers import Draft, answers_kept, log_answers
from monitoring.services.backfill import request_backfill
from monitoring.services.batches import cancel_scoring, forget_pieces, opened_result, request_scoring
from monitoring.services.calibrations import due_calibrations, request_calibration, set_drift_alarm
from monitoring.services.channels import (
    Made,
    change_channel,
    create_channel,
    delete_channel,
    redeliver,
    renew_secret,
    send_held,
    try_channel,
)
from monitoring.services.checks import request_due_checks, request_scheduled
from monitoring.services.compaction import compact
from monitoring.services.deliveries import end_deliveries
from monitoring.services.escalation import escalate_alerts
from monitoring.services.explanations import explain_prediction, explain_predictions, request_explanations
from monitoring.services.folding import fold, fold_all
from monitoring.services.handling import acknowledge_alert, assign_alert, comment_alert, handle_alerts, resolve_alert
from monitoring.services.ingest import log_prediction, log_predictions
from monitoring.services.labels import log_labels
from monitoring.services.limits import set_quality_limits
from monitoring.services.policies import drop_retrain_policy, set_retrain_policy, set_team_retrain_policy
from monitoring.services.rehearsal import dry_run_policy
from monitoring.services.reports import keep_report, request_report
from monitoring.services.retention import end_expired, set_retention
from monitoring.services.retraining import trigger_retraining
from monitoring.services.rules import drop_alert_rule, set_alert_rules
from monitoring.services.schedules import drop_monitoring_schedule, set_monitoring_schedule, set_schedule
from monitoring.services.settling import settle
from monitoring.services.silences import end_silence, silence, silence_alert
from monitoring.services.silent import watch_silence
from monitoring.services.slices import declare_slice, end_slice, set_fairness_limits
from monitoring.services.totals import count_totals

__all__ = [
    "Draft",
    "Ingested",
    "Made",
    "acknowledge_alert",
    "answers_kept",
    "assign_alert",
    "cancel_scoring",
    "change_channel",
    "comment_alert",
    "compact",
    "count_totals",
    "create_channel",
    "declare_slice",
    "delete_channel",
    "drop_alert_rule",
    "drop_monitoring_schedule",
    "drop_retrain_policy",
    "dry_run_policy",
    "due_calibrations",
    "end_deliveries",
    "end_expired",
    "end_silence",
    "end_slice",
    "escalate_alerts",
    "explain_prediction",
    "explain_predictions",
    "fold",
    "fold_all",
    "forget_pieces",
    "handle_alerts",
    "keep_report",
    "log_answers",
    "log_labels",
    "log_prediction",
    "log_predictions",
    "opened_result",
    "raise_alerts",
    "raise_experiment",
    "raise_revalidation",
    "redeliver",
    "renew_secret",
    "request_backfill",
    "request_calibration",
    "request_due_checks",
    "request_explanations",
    "request_report",
    "request_scheduled",
    "request_scoring",
    "resolve_alert",
    "resolve_experiment",
    "resolve_revalidation",
    "send_held",
    "set_alert_rules",
    "set_drift_alarm",
    "set_fairness_limits",
    "set_monitoring_schedule",
    "set_quality_limits",
    "set_retention",
    "set_retrain_policy",
    "set_schedule",
    "set_team_retrain_policy",
    "settle",
    "silence",
    "silence_alert",
    "trigger_retraining",
    "try_channel",
    "watch_silence",
]
