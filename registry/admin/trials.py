"""A reviewer's sample claims as the request's page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlops_site.core.templatetags.steward import setting
from registry.selectors import Trial


class TrialRow(NamedTuple):
    """A sample claim with what the candidate and production answer to it."""

    features: str
    candidate: dict[str, Any]
    production: dict[str, Any] | None
    differs: bool


class TrialTable(NamedTuple):
    candidate: str
    production: str | None  # number
    note: str
    rows: list[TrialRow]


def trial_rows(trial: Trial, rows: Sequence[Mapping[str, Any]]) -> TrialTable:
    """As the request's page shows it."""
    theirs: Sequence[dict[str, Any] | None] = trial.production.answers if trial.production else []
    theirs = theirs or [None] * len(rows)
    lines = [
        TrialRow(
            ", ".join(f"{name} {setting(value)}" for name, value in features.items()),
            ours,
            other,
            other is not None and (ours["prediction"], ours["decision"]) != (other["prediction"], other["decision"]),
        )
        for features, ours, other in zip(rows, trial.candidate.answers, theirs, strict=True)
    ]
    serving = trial.production.version if trial.production else None
    return TrialTable(trial.candidate.version, serving, trial.production.note if trial.production else "", lines)
