"""What a model could know of the answer that it will not know when it predicts: pure checks of the rows of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy  # loads its parts at their first use
from numpy.typing import NDArray
from pandas.api import types

from mlops_site.stats.scored import TaskType
from training.ml.findings import Check, Severity, rows_where, sampled
from training.ml.splits import Fold, moments

NEARLY = 0.995  # of the area under the curve or the squared correlation of one feature alone
LOOKED_AT = 50_000  # rows; an exact copy is then confirmed on all
MAX_SHARED = 0.01  # of the held-out rows may stand among the training rows, by chance
_MAX_DISTINCT = 0.5  # values that never repeat are in one-to-one relation with anything


def target_copies(
    frame: pd.DataFrame, target: str, features: Sequence[str], task_type: TaskType, *, severity: Severity = "block"
) -> list[Check]:
    """Features that are the target under another name (an exact one-to-one, or for numbers monotone, relation), with
    `severity`; and, as a warning, those that alone nearly tell it. A feature that separates two classes without a
    mistake only warns: honest ones do that too (the petals of an iris)."""
    few = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, min(len(frame), LOOKED_AT)).astype(int))]
    found: list[Check] = []
    for name in features:
        if _is_copy(few[name], few[target]) and _is_copy(frame[name], frame[target]):
            message = f"Column {name!r} tells the target {target!r} exactly: is it known when predicting?"
            told: dict[str, Any] = {"observed": 1.0, "expected": f"below {NEARLY}"}
            found.append(Check("target_copy", name, severity, False, message, **told))
        elif (strength := alone(few[name], few[target], task_type)) >= NEARLY:
            what = "AUC" if task_type == "classification" else "R²"
            message = f"Column {name!r} alone tells the target {target!r} with {what} {strength:.4f}."
            told = {"observed": round(strength, 6), "expected": f"below {NEARLY}"}
            found.append(Check("target_nearly_told", name, "warn", False, message, **told))
    return found or [Check("target_copy", None, severity, True, "No feature tells the target exactly.")]


def _is_copy(values: pd.Series[Any], truth: pd.Series[Any]) -> bool:
    known = (values.notna() & truth.notna()).to_numpy()
    values, truth = values[known], truth[known]
    if len(values) < 3 or values.nunique() < 2 or truth.nunique() < 2:
        return False
    numbers = types.is_numeric_dtype(values) and types.is_numeric_dtype(truth)
    if numbers and _is_monotone(values.to_numpy(np.float64), truth.to_numpy(np.float64)):
        return True
    if truth.nunique() > _MAX_DISTINCT * len(values):
        return False
    pairs = len(pd.DataFrame({"value": values, "truth": truth}).drop_duplicates())
    return bool(values.nunique() == truth.nunique() == pairs)


def _is_monotone(values: NDArray[np.float64], truth: NDArray[np.float64]) -> bool:
    """Whether the ranks are the same, or the same from the other end: no value without its own truth."""
    ranks = scipy.stats.rankdata(values)
    return bool(
        np.array_equal(ranks, scipy.stats.rankdata(truth)) or np.array_equal(ranks, scipy.stats.rankdata(-truth))
    )


def alone(values: pd.Series[Any], truth: pd.Series[Any], task_type: TaskType) -> float:
    """How well one feature tells the target by itself: the area under the curve (n,), of the best class against the
    others, or the squared correlation, of values or ranks. A category counts by the mean of its level in the other
    half of the rows, so that many levels tell nothing."""
    known = (values.notna() & truth.notna()).to_numpy()
    values, truth = values[known].reset_index(drop=True), truth[known].reset_index(drop=True)
    if len(values) < 20 or values.nunique() < 2 or truth.nunique() < 2:
        return 0.0
    if task_type == "regression":
        if not types.is_numeric_dtype(truth):
            return 0.0
        said = values if types.is_numeric_dtype(values) else _by_level(values, truth)
        return _squared(said.to_numpy(np.float64), truth.to_numpy(np.float64))
    best = 0.0
    for label in truth.unique()[:20]:
        is_it = (truth == label).astype(np.float64)
        said = values if types.is_numeric_dtype(values) else _by_level(values, is_it)
        best = max(best, _area(said.to_numpy(np.float64), is_it.to_numpy(bool)))
        if truth.nunique() == 2:
            break
    return best


def _by_level(values: pd.Series[Any], truth: pd.Series[Any]) -> pd.Series[Any]:
    half = pd.Series(np.arange(len(values)) % 2, index=values.index)
    said = pd.Series(float(truth.mean()), index=values.index)
    for side in (0, 1):
        means = truth[half != side].groupby(values[half != side]).mean()
        said[half == side] = values[half == side].map(means).fillna(float(truth.mean()))
    return said


def _area(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        return 0.0
    area = (scipy.stats.rankdata(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    return float(max(area, 1 - area))


def _squared(said: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    if np.ptp(said) == 0 or np.ptp(truth) == 0:
        return 0.0
    return float(max(np.corrcoef(said, truth)[0, 1] ** 2, scipy.stats.spearmanr(said, truth).statistic ** 2))


def entity_overlap(
    entities: pd.Series[Any], held: NDArray[np.bool_], folds: Sequence[Fold], *, column: str, severity: Severity
) -> Check:
    """Entities (n,) that stand both in the holdout and in the training rows, or on both sides of a fold; `folds` are
    positions among the training rows."""
    values = entities.to_numpy()
    training = values[~held]
    shared = _shared(training, values[held])
    of_folds = [_shared(training[train], training[test]) for train, test in folds]
    in_folds = set().union(*of_folds) if of_folds else set()
    known = int(entities.nunique())
    message = (
        f"{len(shared):,} of {known:,} values of {column!r} are in the holdout and in the training rows, "
        f"{len(in_folds):,} on both sides of a fold."
    )
    where = rows_where(entities.isin(shared or in_folds).to_numpy() & (held | (not shared)))
    told: dict[str, Any] = {
        "observed": {"holdout": len(shared), "folds": len(in_folds)},
        "expected": {"holdout": 0, "folds": 0},
    }
    return Check("entity_overlap", column, severity, not shared and not in_folds, message, where, **told)


def _shared(some: NDArray[Any], others: NDArray[Any]) -> set[Any]:
    return {value for value in set(pd.unique(some)) & set(pd.unique(others)) if not pd.isna(value)}


def rows_overlap(frame: pd.DataFrame, held: NDArray[np.bool_]) -> Check:
    """Held-out rows (m of n) whose features and target stand among the training rows too. A few do by chance where
    columns have few values; beyond `MAX_SHARED` of them it warns."""
    hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    twins = held & np.isin(hashes, hashes[~held])
    share = float(twins.sum() / max(1, held.sum()))
    message = (
        f"{int(twins.sum()):,} of {int(held.sum()):,} held-out rows ({share:.1%}) are among the training rows too."
    )
    told: dict[str, Any] = {"observed": round(share, 6), "expected": f"at most {MAX_SHARED}"}
    return Check("rows_overlap", None, "warn", share <= MAX_SHARED, message, rows_where(twins), **told)


def after_prediction(
    frame: pd.DataFrame,
    available_at: Mapping[str, tuple[str, Severity]],
    *,
    prediction_time: str,
    private: Collection[str] = (),
) -> Iterator[Check]:
    """Features that have a value which became known only after the prediction. `available_at` names for each feature
    the column with the time at which its value was known; where that is empty, nothing shows that it was in time."""
    asked = _times(frame, prediction_time)
    if asked is None:
        message = f"The prediction time {prediction_time!r} must be a column of times in order but is not."
        yield Check("after_prediction", prediction_time, "block", False, message)
        return
    for name, (column, severity) in available_at.items():
        known = _times(frame, column)
        if known is None:
            message = f"When {name!r} is known must stand in a column of times but {column!r} is none."
            yield Check("after_prediction", name, severity, False, message)
            continue
        has = frame[name].notna().to_numpy()
        late = has & (known > asked)
        message = (
            f"{int(late.sum()):,} of {int(has.sum()):,} values of {name!r} are known only after {prediction_time!r}."
        )
        told: dict[str, Any] = {
            "observed": int(late.sum()),
            "expected": 0,
            "samples": sampled(frame[column][late], column, private),
        }
        yield Check("after_prediction", name, severity, not late.any(), message, rows_where(late), **told)
        unknown = has & np.isnan(known)
        if unknown.any():
            message = f"{int(unknown.sum()):,} values of {name!r} have no time in {column!r}."
            told = {"observed": int(unknown.sum()), "expected": 0}
            yield Check("known_when", name, "warn", False, message, rows_where(unknown), **told)


def _times(frame: pd.DataFrame, column: str) -> NDArray[np.float64] | None:
    """The times of a column (n,) as numbers, NaN where there is none; None where it is no column of times."""
    if column not in frame.columns:
        return None
    found = np.full(len(frame), np.nan)
    known = frame[column].notna().to_numpy()
    try:
        found[known] = moments(frame.loc[known, column])
    except ValueError:
        return None
    return found
