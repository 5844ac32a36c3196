"""The law of monitoring, held by the database on both engines (see core.laws)."""

from __future__ import annotations

from mlops_site.core.laws import Deed, Law, append_only

_COUNTED = ("id", "model_id", "name", "source", "levels", "cuts", "counts_from")

_OF_MODEL = "SELECT 1 FROM monitoring_retention r WHERE r.model_id = OLD.model_id"
_HELD = f"EXISTS ({_OF_MODEL} AND r.hold <> '')"
_UNMATCHED = """NOT EXISTS (SELECT 1 FROM monitoring_prediction p
    WHERE p.model_id = OLD.model_id AND p.request_id = OLD.request_id)"""
# Retention writes the times first, so whatever else deletes a label is refused.
_KEPT_LABEL = f"""NOT EXISTS ({_OF_MODEL} AND r.hold = '' AND (r.ends_before > OLD.received_at
    OR (r.unmatched_before > OLD.received_at AND {_UNMATCHED})))"""
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
        f"OLD.status = 'resolved' OR {_CHANGED}",
        "an alert keeps what it is about and how often it was seen, and a resolved one stays resolved",
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
    Law(
        "silence_keeps_its_words",
        "monitoring_silence",
        "UPDATE",
        "OLD.ended_at IS NOT NULL OR " + " OR ".join(f"NEW.{column} <> OLD.{column}" for column in _SILENCE),
        "a silence can only be ended, once",
    ),
    Law("silence_no_delete", "monitoring_silence", "DELETE", "1 = 1", "silences are kept"),
]
