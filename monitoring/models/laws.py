"""The law of monitoring, held by the database on both engines (see core.laws)."""

from __future__ import annotations

from mlops_site.core.laws import Deed, Law, append_only

_KEPT = ("id", "model_id", "version_id", "rule", "subject_key", "first_seen_at")
_COUNTED = ("id", "model_id", "name", "source", "levels", "cuts", "counts_from")

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
        "OLD.status = 'resolved' OR " + " OR ".join(f"NEW.{column} <> OLD.{column}" for column in _KEPT),
        "an alert keeps what it is about, and a resolved one stays resolved",
    ),
    Law(
        "slice_counts_alike",
        "monitoring_slice",
        "UPDATE",
        "OLD.counts_until IS NOT NULL OR " + " OR ".join(f"NEW.{column} <> OLD.{column}" for column in _COUNTED),
        "what a slice counts never changes, and one that has ended stays so",
    ),
    Law("slice_no_delete", "monitoring_slice", "DELETE", "1 = 1", "slices are kept: labels may still come"),
    *append_only("monitoring_errorcode"),
    Law("alert_no_delete", "monitoring_alert", "DELETE", "1 = 1", "alerts are kept"),
]
