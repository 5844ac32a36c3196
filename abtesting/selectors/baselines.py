"""What is known of both versions before an experiment: from production, from their holdouts, from their metrics."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from abtesting.selectors.traffic import judged_of
from abtesting.stats.baseline import Baseline, Together, baseline, baseline_of_shares, cells_told, together
from abtesting.stats.measures import Measure
from abtesting.stats.pairs import PairTally
from abtesting.stats.tally import ArmTally
from mlops_site.core.errors import StewardError
from mlops_site.stats.scored import ScoredRows
from monitoring.selectors import basis_of
from monitoring.stats.answers import Answers
from monitoring.stats.shape import shape_of
from monitoring.stats.tally import Tally
from registry.models import Version
from registry.selectors.held_rows import Side, rows_of, sampled, scored, side_of

ENOUGH = 200  # judged claims from which on production says more than the holdout
MOST_ROWS = 20_000


class Known(NamedTuple):
    """A baseline and where it is from, in words."""

    found: Baseline
    source: str


def known_of(version: Version, measure: Measure) -> Known | None:
    """The measure of a version: of production where enough was judged there, else of its holdout, else from the
    metrics that it was registered with; None where they do not say it."""
    tally = judged_of(version)
    lived = baseline(measure, ArmTally(tally)) if tally is not None else None
    if lived is not None and (lived.n or 0) >= ENOUGH:
        return Known(
            lived, f"{lived.n:,} claims that {version.number} answered in the last 30 days and that were judged"
        )
    held = _held(version, measure)
    if held is not None:
        return Known(held, f"the {held.n:,} rows held out when {version.number} was trained")
    told = _told(version, measure)
    if told is not None:
        return Known(told, f"the metrics with which {version.number} was registered")
    return (
        None if lived is None else Known(lived, f"the {lived.n:,} claims of {version.number} that were judged so far")
    )


def together_of(a: Version, b: Version, measure: Measure) -> Together | None:
    """How both went on the rows that their holdouts share; None where they share too few."""
    sides = side_of(a), side_of(b)
    if sides[0] is None or sides[1] is None or shape_of(a.signature) != shape_of(b.signature):
        return None
    try:
        found = _shared(sides[0], sides[1])
    except (StewardError, ValueError, KeyError):  # a file that is damaged or does not fit says nothing
        return None
    if found is None:
        return None
    one, two = (baseline(measure, arm) for arm in found[:2])
    return together(measure, one, two, found[2]) if one and two else None


def _held(version: Version, measure: Measure) -> Baseline | None:
    side = side_of(version)
    if side is None:
        return None
    try:
        return baseline(measure, _arm(side))
    except (StewardError, ValueError, KeyError):
        return None


def _told(version: Version, measure: Measure) -> Baseline | None:
    if not basis_of(version).shape.is_binary:
        return None
    values = [version.metrics.get(name, {}).get("value") for name in ("recall", "precision", "accuracy")]
    if not all(isinstance(value, int | float) for value in values):
        return None
    cells = cells_told(*values)
    return None if cells is None else baseline_of_shares(measure, cells)


@lru_cache(maxsize=64)
def _arm(side: Side) -> ArmTally:
    frame = sampled(rows_of(side).set_index("row_key"), MOST_ROWS)
    shape = shape_of(side.signature.to_json())
    return ArmTally(Tally.of(_answers(frame, side), shape))


@lru_cache(maxsize=64)
def _shared(a: Side, b: Side) -> tuple[ArmTally, ArmTally, PairTally] | None:
    first, second = (rows_of(side).set_index("row_key") for side in (a, b))
    if not (first.index.is_unique and second.index.is_unique):
        return None
    keys = sampled(first[first.index.isin(second.index)], MOST_ROWS).index
    first, second = first.loc[keys], second.loc[keys]
    if not len(keys) or not (first["label"].to_numpy() == second["label"].to_numpy()).all():
        return None
    shape = shape_of(a.signature.to_json())
    one, two = _answers(first, a), _answers(second, b)
    arms = ArmTally(Tally.of(one, shape)), ArmTally(Tally.of(two, shape))
    return *arms, PairTally.of(one, two, shape, scored=np.ones(len(keys), dtype=np.bool_))


def _answers(frame: pd.DataFrame, side: Side) -> Answers:
    """Rows of a holdout as production would have logged them."""
    rows = scored(frame, side)
    nothing, fine = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.bool_)
    if rows.task_type == "regression":
        return Answers(_said(rows), nothing, [None] * len(rows), fine, nothing, rows.truth)
    score = rows.score if rows.binary and rows.score is not None else nothing
    decision = rows.decision if rows.binary and rows.decision is not None else [None] * len(rows)
    return Answers(_said(rows), score, decision, fine, nothing, _named(rows, rows.truth))


def _said(rows: ScoredRows) -> list[object]:
    if rows.decision is None:
        raise ValueError("holdout must have decisions but got scores alone")
    return rows.decision.tolist() if rows.task_type == "regression" else _named(rows, rows.decision)


def _named(rows: ScoredRows, codes: NDArray[Any]) -> list[object]:
    return [rows.classes[code] for code in codes.tolist()]
