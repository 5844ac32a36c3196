"""How the answers of a window are spread, beside those of the holdout and of the window before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlops_site.stats.bins import Counts
from mlops_site.stats.distributions import Distribution
from monitoring.selectors.drift import BEFORE, HOLDOUT
from monitoring.selectors.samples import expected_answers, expected_said
from monitoring.stats.breakdown import Breakdown
from monitoring.stats.predicted import Kind, Predicted, Sides, predicted
from monitoring.stats.tally import Tally
from registry.models import Version


class Counted(NamedTuple):
    """The sums of a window."""

    tally: Tally
    breakdown: Breakdown


def predicted_of(version: Version, now: Counted, past: Counted | None = None) -> Predicted | None:
    """Scores of two classes, else classes or values. Answers of before these were counted are in neither; None where no
    other was given. No query."""
    past = past or Counted(Tally.empty(now.tally.shape), Breakdown.empty(now.tally.shape))
    shape, tally = now.tally.shape, expected_answers(version)
    if shape.is_binary and now.tally.scores[0].sum():
        sides = (None if tally is None else tally.scores[0], past.tally.scores[0], now.tally.scores[0])
        return predicted("score", Sides(*sides), shape)
    kind: Kind = "value" if shape.task_type == "regression" else "class"
    said: Counts | None = expected_said(version)
    return predicted(kind, Sides(said, past.breakdown.part("answered"), now.breakdown.part("answered")), shape)


def predicted_json(found: Predicted | None) -> dict[str, Any] | None:
    """As a report and the API tell it; `against` is what a figure draws beside the window."""
    if found is None:
        return None
    against = HOLDOUT if found.reference else BEFORE if found.before else ""
    names = ("piece", "reference", "before", "window")
    rows = [dict(zip(names, row, strict=True)) for row in found.table]
    ticks = [list(tick) for tick in found.ticks]
    return {"kind": found.kind, "against": against, "rows": found.rows, "pieces": rows, "ticks": ticks}


def drawn(said: Mapping[str, Any]) -> Distribution:
    """What is told, to be drawn: the window against the holdout, else against the window before."""
    pieces = said["pieces"]
    base = "reference" if said["against"] == HOLDOUT else "before"
    return Distribution(
        feature="prediction",
        kind="category" if said["kind"] == "class" else "number",
        pieces=[row["piece"] for row in pieces],
        reference=[row[base] or 0.0 for row in pieces],
        window=[row["window"] for row in pieces],
        ticks=[(place, text) for place, text in said["ticks"]],
    )
