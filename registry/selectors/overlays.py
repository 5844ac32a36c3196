"""Versions over one another on the same holdout rows: curves of two classes, shares of more, values of regressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import pandas as pd

from mlops_site.core import store
from mlops_site.core.errors import StewardError
from mlops_site.stats import curves
from mlops_site.stats.scored import ScoredRows
from registry.models import Version
from registry.selectors.held_rows import Side, rows_of, sampled, scored, side_of
from registry.selectors.paired import MIN_SHARED_ROWS

MAX_ROWS = 200_000  # of a holdout, the same ones of each


class Series(NamedTuple):
    """What one version's line is in each figure; None where its kind of task has no such figure."""

    rows: int = 0
    roc: curves.Curve | None = None
    precision_recall: curves.Curve | None = None
    calibration: curves.Reliability | None = None
    classes: list[curves.ClassRow] | None = None
    fitted: curves.Fitted | None = None
    residuals: curves.Curve | None = None
    note: str = ""


class Overlays(NamedTuple):
    """A series a version, in their order. `shared` says whether all are about the same rows; `note` why not."""

    series: list[Series]
    shared: bool
    note: str


def overlays(versions: Sequence[Version]) -> Overlays:
    """The figures' numbers of versions of one kind of task, of bounded size. A version without a readable holdout
    has an empty series with a note."""
    sides = [side_of(version) for version in versions]
    notes = ["it was registered without holdout predictions" if side is None else "" for side in sides]
    try:
        found, shared, note = _compute(tuple(side for side in sides if side is not None))
    except StewardError:  # not kept in memory: the file may be restored
        notes = [_unreadable(side) if side is not None else said for side, said in zip(sides, notes, strict=True)]
        kept = tuple(side for side, said in zip(sides, notes, strict=True) if side is not None and not said)
        found, shared, note = _compute(kept)
    left = iter(found)
    return Overlays([Series(note=said) if said else next(left) for said in notes], shared, note)


def _unreadable(side: Side) -> str:
    try:
        store.read(side.holdout)
    except StewardError as error:
        return f"its holdout cannot be read: {error.detail}"
    return ""


@lru_cache(maxsize=64)
def _compute(sides: tuple[Side, ...]) -> tuple[list[Series], bool, str]:
    frames = [sampled(rows_of(side).set_index("row_key"), MAX_ROWS) for side in sides]
    shared, why = _shared(frames)
    if shared is not None:
        frames = [frame.loc[shared] for frame in frames]
    note = f"{why}; each line is of the version's own holdout" if why else ""
    return [_series(frame, side) for frame, side in zip(frames, sides, strict=True)], shared is not None, note


def _shared(frames: Sequence[pd.DataFrame]) -> tuple[pd.Index[Any] | None, str]:
    """The keys that all have, with the same truth; or why the versions are not compared on them."""
    if not frames:
        return None, ""
    if not all(frame.index.is_unique for frame in frames):
        return None, "a holdout names a row twice"
    keys = frames[0].index
    for frame in frames[1:]:
        keys = keys.intersection(frame.index)
    if len(keys) < MIN_SHARED_ROWS:
        return None, f"the holdouts share {len(keys)} rows, fewer than {MIN_SHARED_ROWS}"
    truth = frames[0].loc[keys, "label"]
    if not all((frame.loc[keys, "label"] == truth).all() for frame in frames[1:]):
        return None, "the holdouts give the same rows different labels"
    return keys, ""


def _series(frame: pd.DataFrame, side: Side) -> Series:
    try:
        rows = scored(frame, side)
    except ValueError as error:
        return Series(note=f"its holdout does not fit its signature: {error}")
    if rows.task_type == "regression":
        return _of_values(rows)
    if rows.binary and rows.score is not None:
        return _of_two(rows)
    return Series(len(rows), classes=curves.by_class(rows))


def _of_values(rows: ScoredRows) -> Series:
    if rows.decision is None or not len(rows):
        return Series(note="its holdout has no predictions")
    fitted, residuals = curves.fitted(rows.truth, rows.decision), curves.residuals(rows.truth, rows.decision)
    return Series(len(rows), fitted=fitted, residuals=residuals)


def _of_two(rows: ScoredRows) -> Series:
    """A holdout of one class has a calibration, but no ROC."""
    truth, score, said = rows.truth == 1, rows.score, list[str]()

    def tried(compute: Callable[[Any, Any], Any]) -> Any:
        try:
            return compute(truth, score)
        except ValueError as error:
            said.append(str(error))
            return None

    found = {
        "roc": tried(curves.roc),
        "precision_recall": tried(curves.precision_recall),
        "calibration": tried(curves.reliability),
    }
    return Series(len(rows), **found, note="; ".join(said))
