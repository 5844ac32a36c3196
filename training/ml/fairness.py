"""What the holdout says of the groups that a run names: rates side by side, by fairlearn's MetricFrame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, mean_absolute_error

from mlops_site.stats.scored import ScoredRows
from training.ml.slices import MIN_ROWS, spelled

MAX_LEVELS = 20
OTHERS, MISSING = "others", "missing"


def levels(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of n rows as at most some twenty groups: numbers by quarter, of categories the frequent ones.

    >>> levels(pd.Series(["a", None])).tolist()
    ['a', 'missing']
    """
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MAX_LEVELS:
        cut = pd.qcut(column, 4, duplicates="drop").astype(object)
        return cut.map(str, na_action="ignore").fillna(MISSING)
    if pd.api.types.is_float_dtype(column):
        texts = pd.Series(spelled(column), index=column.index).where(column.notna(), MISSING)
    else:
        texts = column.astype(object).map(str, na_action="ignore").fillna(MISSING)
    kept = texts.value_counts().index[:MAX_LEVELS]
    return texts.where(texts.isin(kept), OTHERS)


def by_group(rows: ScoredRows, columns: Mapping[str, pd.Series[Any]], *, min_rows: int = MIN_ROWS) -> dict[str, Any]:
    """For each column its groups of at least `min_rows` with their metrics, and by how much these differ at most; the
    groups that are too small to say anything of are counted."""
    found: dict[str, Any] = {}
    for name, column in columns.items():
        groups = levels(column).to_numpy()
        known, counts = np.unique(groups, return_counts=True)
        large = known[counts >= min_rows]
        told = {"min_rows": min_rows, "too_small": int(len(known) - len(large))}
        mask = np.isin(groups, large)
        found[name] = {**told, **(_frame(rows, groups, mask) if len(large) else {"groups": [], "difference": {}})}
    return found


def _frame(rows: ScoredRows, groups: NDArray[Any], mask: NDArray[np.bool_]) -> dict[str, Any]:
    from fairlearn.metrics import MetricFrame

    decided = np.asarray(rows.decision)[mask]
    frame = MetricFrame(
        metrics=_metrics(rows), y_true=rows.truth[mask], y_pred=decided, sensitive_features=groups[mask]
    )
    values = frame.by_group.astype(float)
    return {
        "groups": [
            {"group": str(label), **{name: _told(value) for name, value in line.items()}}
            for label, line in values.iterrows()
        ],
        "difference": {
            name: _told(values[name].max() - values[name].min()) for name in values.columns if name != "rows"
        },
    }


def _metrics(rows: ScoredRows) -> dict[str, Any]:
    from fairlearn.metrics import count, false_positive_rate, mean_prediction, selection_rate, true_positive_rate

    if rows.task_type == "regression":
        return {
            "rows": count,
            "mean_prediction": mean_prediction,
            "mean_truth": _mean_truth,
            "mae": mean_absolute_error,
        }
    if rows.binary:
        rates = {"true_positive_rate": true_positive_rate, "false_positive_rate": false_positive_rate}
        return {"rows": count, "accuracy": accuracy_score, "selection_rate": selection_rate, **rates}
    return {"rows": count, "accuracy": accuracy_score}


def _mean_truth(truth: Any, said: Any) -> float:
    return float(np.mean(truth))


def _told(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
