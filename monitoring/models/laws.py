"""The law of monitoring, held by the database on both engines (see core.laws)."""

from __future__ import annotations

from mlops_site.core.laws import Deed, Law, append_only

_KEPT = ("id", "model_id", "version_id", "rule", "subject_key", "first_seen_at")

_OF_MODEL = "SELECT 1 FROM monitoring_retention r WHERE r.model_id = OLD.model_id"
_HELD = f"EXISTS ({_OF_MODEL} AND r.hold <> '')"
_UNMATCHED = """NOT EXISTS (SELECT 1 FROM monitoring_prediction p
    WHERE p.model_id = OLD.model_id AND p.request_id = OLD.request_id)"""
# Retention writes the times first, so whatever else deletes a label is refused.
_KEPT_LABEL = f"""NOT EXISTS ({_OF_MODEL} AND r.hold = '' AND (r.ends_before > OLD.received_at
    OR (r.unmatched_before > OLD.received_at AND {_UNMATCHED})))"""

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
    *(law for law in append_only("monitoring_label") if law.event != "DELETE"),
    Law("monitoring_label_no_delete", "monitoring_label", "DELETE", _KEPT_LABEL, "a label is kept for its time"),
    *(
        Law(f"hold_keeps_{what}", "monitoring_prediction", event, condition, "a legal hold keeps predictions")
        for what, event, condition in (
            ("predictions", "DELETE", _HELD),
            ("features", "UPDATE", f"{_HELD} AND NEW.erased_at IS NOT NULL AND OLD.erased_at IS NULL"),
        )
    ),
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
