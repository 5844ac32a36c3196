"""The law of experiments, held by the database on both engines (see core.laws)."""

from __future__ import annotations

from mlops_site.core.laws import Deed, Law

_ASKED = (
    "name", "hypothesis", "model_id", "version_a_id", "version_b_id", "design", "metrics", "min_samples", "guardrails",
    "group_by", "holdout", "steps", "salt", "created_by_id", "started_at",
)  # fmt: skip
_ASKED_MAYBE = ("margin", "planned_labels", "costs", "follow_up_days", "step_hours")
_SPLIT = ("experiment_id", "number", "share_b", "draw", "started_at")
_KEPT = {
    "experiment": "experiments",
    "epoch": "splits",
    "unit": "units",
    "armsums": "sums",
    "shadowanswer": "answers of B",
}
_OF_ENDED = (
    "(SELECT x.status FROM abtesting_epoch e JOIN abtesting_experiment x ON x.id = e.experiment_id "
    "WHERE e.id = NEW.epoch_id) <> 'running'"
)
_SHADOW = """INSERT INTO abtesting_shadowanswer
    (prediction_id, epoch_id, state, attempts, error_code, queued_at, is_counted)
    SELECT NEW.id, NEW.epoch, 'queued', 0, '', NEW.predicted_at, FALSE
    FROM abtesting_epoch e JOIN abtesting_experiment x ON x.id = e.experiment_id
    WHERE e.id = NEW.epoch AND x.design = 'shadow'"""


def _changed(columns: tuple[str, ...], *, maybe: tuple[str, ...] = ()) -> str:
    """Whether an update changes one of the columns; JSON is compared as text, which both engines can."""
    parts = [f"CAST(NEW.{name} AS text) <> CAST(OLD.{name} AS text)" for name in columns]
    parts += [f"COALESCE(CAST(NEW.{name} AS text), '') <> COALESCE(CAST(OLD.{name} AS text), '')" for name in maybe]
    return " OR ".join(parts)


LAWS: list[Law | Deed] = [
    Law(
        "experiment_versions_are_of_its_model",
        "abtesting_experiment",
        "INSERT",
        "(SELECT COUNT(*) FROM registry_version v WHERE v.id IN (NEW.version_a_id, NEW.version_b_id) "
        "AND v.model_id = NEW.model_id) <> 2",
        "both versions of an experiment are of its model",
    ),
    Law(
        "experiment_stays_as_asked",
        "abtesting_experiment",
        "UPDATE",
        _changed(_ASKED, maybe=_ASKED_MAYBE),
        "what an experiment was asked stays as it was at the start",
    ),
    Law(
        "experiment_result_is_frozen",
        "abtesting_experiment",
        "UPDATE",
        "OLD.status <> 'running'",
        "an experiment that has ended stays as it ended",
    ),
    Law(
        "experiment_mismatch_blocks_for_good",
        "abtesting_experiment",
        "UPDATE",
        "OLD.mismatch_at IS NOT NULL AND " + _changed((), maybe=("mismatch_at",)),
        "a proven sample ratio mismatch blocks for good",
    ),
    Law("experiment_no_delete", "abtesting_experiment", "DELETE", "1 = 1", "experiments are kept"),
    Law(
        "epoch_opens_while_running",
        "abtesting_epoch",
        "INSERT",
        "(SELECT x.status FROM abtesting_experiment x WHERE x.id = NEW.experiment_id) <> 'running'",
        "a split belongs to a running experiment",
    ),
    Law(
        "epoch_ends_once",
        "abtesting_epoch",
        "UPDATE",
        "OLD.ended_at IS NOT NULL OR " + _changed(_SPLIT),
        "a split stays as it was, and ends once",
    ),
    Law("epoch_no_delete", "abtesting_epoch", "DELETE", "1 = 1", "splits are kept"),
    Law(
        "unit_keeps_its_arm",
        "abtesting_unit",
        "UPDATE",
        _changed(("epoch_id", "unit_id", "arm")),
        "a unit keeps its arm within an epoch",
    ),
    Law("unit_no_delete", "abtesting_unit", "DELETE", "1 = 1", "units are kept: one that is met again would move"),
    *(
        Law(
            f"sums_stay_at_the_end_{event.lower()}",
            "abtesting_armsums",
            event,
            _OF_ENDED,
            "sums of an experiment that has ended stay",
        )
        for event in ("INSERT", "UPDATE")
    ),
    Law("sums_no_delete", "abtesting_armsums", "DELETE", "1 = 1", "sums are kept"),
    Law(
        "shadow_answer_stays",
        "abtesting_shadowanswer",
        "UPDATE",
        "OLD.state <> 'queued' AND NEW.state <> OLD.state",
        "what B has said of a claim stays",
    ),
    *(
        Law(f"{name}_no_truncate", f"abtesting_{name}", "TRUNCATE", "1 = 1", f"{said} are kept")
        for name, said in _KEPT.items()
    ),
    Deed("claim_is_shadowed", "monitoring_prediction", "INSERT", _SHADOW, "new.epoch IS NOT NULL"),
]
