"""The law of monitoring, held by the database on both engines (see core.laws)."""

from __future__ import annotations

from mlops_site.core.laws import Deed, Law, append_only

_KEPT = ("id", "model_id", "version_id", "rule", "subject_key", "first_seen_at")

LAWS: list[Law | Deed] = [
    Deed(
        "prediction_is_queued",
        "monitoring_prediction",
        "INSERT",
        "INSERT INTO monitoring_folditem (kind, prediction_id, waiting) VALUES ('prediction', NEW.id, FALSE)",
        at_once="INSERT INTO monitoring_folditem (kind, prediction_id, waiting) "
        "SELECT 'prediction', id, FALSE FROM new_rows",
    ),
    Deed(
        "label_is_queued",
        "monitoring_label",
        "INSERT",
        "INSERT INTO monitoring_folditem (kind, label_id, waiting) VALUES ('label', NEW.id, FALSE)",
        at_once="INSERT INTO monitoring_folditem (kind, label_id, waiting) SELECT 'label', id, FALSE FROM new_rows",
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
        "OLD.status = 'resolved' OR " + " OR ".join(f"NEW.{column} <> OLD.{column}" for column in _KEPT),
        "an alert keeps what it is about, and a resolved one stays resolved",
    ),
    Law("alert_no_delete", "monitoring_alert", "DELETE", "1 = 1", "alerts are kept"),
]
