"""All that a window says of drift: features, which of them matters, answers and labels, columns that came or went."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from mlops_site.stats.columns import Kind
from mlops_site.stats.compare import Drift, profile_drift
from monitoring.selectors.bases import basis_of
from monitoring.selectors.samples import (
    expected_answers,
    expected_said,
    losses_of,
    newest_rows,
    sampled_rows,
    training_rows,
)
from monitoring.selectors.windows import Summed, window_sum
from monitoring.stats.answer_drift import AnswerDrift, answer_drift
from monitoring.stats.breakdown import Breakdown
from monitoring.stats.fields import Fields, fields
from monitoring.stats.losses import as_frame
from monitoring.stats.multivariate import Multivariate, multivariate
from monitoring.stats.persistence import AlarmRule
from monitoring.stats.triage import Ranked, triage
from registry.models import Version

HOLDOUT, BEFORE = "the holdout at registration", "the window before"
TRAINING = "the training data"


@dataclass(frozen=True)
class DriftFound:
    """`drift` and `fields` are None without a reference; `against` says what the answers are compared with."""

    drift: Drift | None
    ranked: list[Ranked] = field(default_factory=list)
    answers: list[AnswerDrift] = field(default_factory=list)
    against: str = ""
    fields: Fields | None = None

    def to_json(self) -> dict[str, Any]:
        """The keys that they have in a report's body."""
        return {
            "triage": [ranked_json(row) for row in self.ranked],
            "answers": {"against": self.against, "rows": [row._asdict() for row in self.answers]},
            "columns": None if self.fields is None else fields_json(self.fields),
        }

    @property
    def notes(self) -> list[str]:
        """What a reader must not miss, in words."""
        if self.fields is None:
            return []
        new, gone = [name for name, _ in self.fields.new], self.fields.vanished
        said = [f"new columns that the version does not know: {_named(new, self.fields.new_total)}"] if new else []
        return [*said, f"columns that are not sent any more: {_named(gone, len(gone))}"] if gone else said


def _named(names: list[str], total: int) -> str:
    shown = ", ".join(f"{name[:60]!r}" for name in names[:5])
    return f"{shown} and {total - 5} more" if total > 5 else shown


def ranked_json(row: Ranked) -> dict[str, Any]:
    return {**row._asdict(), "loss": None if row.loss is None else row.loss._asdict()}


def fields_json(found: Fields) -> dict[str, Any]:
    new = [{"name": name, "share": share} for name, share in found.new]
    return {"new": new, "new_total": found.new_total, "vanished": found.vanished, "sample": found.sample}


def drift_of(version: Version, now: Summed, rule: AlarmRule) -> Drift | None:
    """Of a window against the version's reference; None without one."""
    reference = basis_of(version).reference
    if reference is None or now.profile is None:
        return None
    return profile_drift(
        now.profile,
        reference,
        threshold=rule.effect,
        q_limit=rule.q,
        importance=version.importance,
        min_samples=settings.MIN_SAMPLES_FOR_MONITORING,
        extra=True,
    )


def drift_found(
    version: Version, now: Summed, start: datetime, end: datetime, rule: AlarmRule, breakdown: Breakdown
) -> DriftFound:
    """Of the window from `start` to before `end`, whose sums are `now` and `breakdown`. One query; one more where the
    version has no holdout; and eight for the estimated losses where a feature has drifted."""
    answers, against = answers_found(version, now, start, end, rule, breakdown)
    found, reference = drift_of(version, now, rule), basis_of(version).reference
    if found is None or reference is None or now.profile is None:
        return DriftFound(None, answers=answers, against=against)
    drifted = [feature.name for feature in found.features if feature.drifted]
    ranked = triage(found, version.importance, losses_of(version, start, end, now.profile, drifted))
    return DriftFound(found, ranked, answers, against, fields(newest_rows(version, start, end), now.profile, reference))


def answers_found(
    version: Version, now: Summed, start: datetime, end: datetime, rule: AlarmRule, breakdown: Breakdown
) -> tuple[list[AnswerDrift], str]:
    """Answers and labels against those of the holdout, else of the window before, and which of them it was."""
    before, against, said = expected_answers(version), HOLDOUT, expected_said(version)
    is_counted = now.tally.shape.task_type == "classification" and breakdown.part("answered").any()
    if before is None:
        past = window_sum(version, start - (end - start), start)
        before, against = past.tally, BEFORE
        said = past.breakdown.part("answered") if is_counted else None
    sides = (breakdown.part("answered"), said) if is_counted and said is not None and said.any() else None
    found = answer_drift(
        now.tally,
        before,
        q=rule.q,
        effect=rule.effect,
        min_samples=settings.MIN_SAMPLES_FOR_MONITORING,
        said=sides,
    )
    return found, against


def multivariate_found(version: Version, start: datetime, end: datetime) -> dict[str, Any]:
    """Samples of rows as a whole: of the window against the training data, or else against the window before. Takes
    up to a second, so only a report that a person asked for has it."""
    kinds: dict[str, Kind] = {column["name"]: column["kind"] for column in version.signature["inputs"]}
    ours = as_frame(sampled_rows(version, start, end).features, kinds)
    theirs, against = training_rows(version), TRAINING
    if theirs is None:
        theirs, against = as_frame(sampled_rows(version, start - (end - start), start).features, kinds), BEFORE
    return multivariate_json(multivariate(ours, theirs, kinds), against)


def multivariate_json(found: Multivariate, against: str) -> dict[str, Any]:
    parts = {
        name: None if part is None else {key: _plain(value) for key, value in part._asdict().items()}
        for name, part in (("classifier", found.classifier), ("reconstruction", found.reconstruction))
    }
    return {**found._asdict(), **parts, "against": against}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
