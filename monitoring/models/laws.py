"""The law of monitoring, held by the database on both engines (see core.laws)."""

from __future__ import annotations

from mlops_site.core.laws import Deed, Law, append_only

_KEPT = ("id", "model_id", "version_id", "rule", "subject_key", "first_seen_at", "group_key", "first_report_id")
_ONCE_SET = ("group_key", "first_report_id")  # a comparison with NULL is neither true nor false
_ONLY_RISES = ("count", "escalations")
_SILENCE = ("id", "model_id", "rule", "subject_key", "every_subject", "starts_at", "ends_at", "created_at")
_CHANGED = " OR ".join(
    [
        *(f"NEW.{column} <> OLD.{column}" for column in _KEPT),
        *(f"(OLD.{column} IS NOT NULL AND NEW.{column} IS NULL)" for column in _ONCE_SET),
        *(f"NEW.{column} < OLD.{column}" for column in _ONLY_RISES),
    ]
)

LAWS: list[Law | Deed] = [
    Deed(
        "prediction_is_queued",
        "monitoring_prediction",
        "INSERT",
        "INSERT INTO monitoring_folditem (kind, prediction_id, waiting) VALUES ('prediction', NEW.id, FALSE)",
    ),
    Deed(
        "label_is_queued",
        "monitoring_label",
        "INSERT",
        "INSERT INTO monitoring_folditem (kind, label_id, waiting) VALUES ('label', NEW.id, FALSE)",
    ),
    *append_only("monitoring_label"),
    Law(
        "explanation_no_update",
        "monitoring_explanation",
        "UPDATE",
        "1 = 1",
        "an explanation stays as it was told first",
    ),
    *append_only("monitoring_report"),
    *append_only("monitoring_retraindecision"),
    Law(
        "alert_keeps_its_identity",
        "monitoring_alert",
        "UPDATE",
        f"OLD.status = 'resolved' OR {_CHANGED}",
        "an alert keeps what it is about and how often it was seen, and a resolved one stays resolved",
    ),
    Law("alert_no_delete", "monitoring_alert", "DELETE", "1 = 1", "alerts are kept"),
    Law(
        "silence_keeps_its_words",
        "monitoring_silence",
        "UPDATE",
        "OLD.ended_at IS NOT NULL OR " + " OR ".join(f"NEW.{column} <> OLD.{column}" for column in _SILENCE),
        "a silence can only be ended, once",
    ),
    Law("silence_no_delete", "monitoring_silence", "DELETE", "1 = 1", "silences are kept"),
]
