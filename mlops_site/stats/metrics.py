"""The one table of metrics by public spelling, and their values for n rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mlops_site.stats import formulas, severity
from mlops_site.stats.scored import Floats, ScoredRows, TaskType, scored_rows

Formula = Callable[[ScoredRows, Floats], Floats]


@dataclass(frozen=True)
class Metric:
    """One metric: what it needs to be computed, which way is better, and when it has no value."""

    name: str
    task_type: TaskType
    needs: Literal["score", "prediction"]
    greater_is_better: bool
    undefined_when: str
    formula: Formula


_ONE_CLASS = "the rows do not hold both the class and another one"
_NO_TRUTH = "no row truly is of the class"
_NO_ROWS = "there are no rows"
_NO_COUNTS = "a truth is negative, or a prediction not above nought"
_NO_AMOUNTS = "a truth or a prediction is not above nought"
_NO_ORDER = "a truth is negative, or the truth is the same in every row"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "f1_score",
            "classification",
            "prediction",
            True,
            "no row is or was predicted positive",
            formulas.f1_score,
        ),
        Metric(
            "precision",
            "classification",
            "prediction",
            True,
            "no row was predicted positive",
            formulas.precision,
        ),
        Metric("recall", "classification", "prediction", True, _NO_TRUTH, formulas.recall),
        Metric("accuracy", "classification", "prediction", True, _NO_ROWS, formulas.accuracy),
        Metric("roc_auc", "classification", "score", True, _ONE_CLASS, formulas.roc_auc),
        Metric("average_precision", "classification", "score", True, _NO_TRUTH, formulas.average_precision),
        Metric("brier", "classification", "score", False, _NO_ROWS, formulas.brier),
        Metric("log_loss", "classification", "score", False, _NO_ROWS, formulas.log_loss),
        Metric("mae", "regression", "prediction", False, _NO_ROWS, formulas.mae),
        Metric("rmse", "regression", "prediction", False, _NO_ROWS, formulas.rmse),
        Metric("r2", "regression", "prediction", True, "the truth is the same in every row", formulas.r2),
        Metric("poisson_deviance", "regression", "prediction", False, _NO_COUNTS, severity.poisson_deviance),
        Metric("gamma_deviance", "regression", "prediction", False, _NO_AMOUNTS, severity.gamma_deviance),
        Metric("tweedie_deviance", "regression", "prediction", False, _NO_COUNTS, severity.tweedie_deviance),
        Metric("gini", "regression", "prediction", True, _NO_ORDER, severity.gini),
    )
}


def names(task_type: TaskType | None = None) -> list[str]:
    """Public spellings, of one task or of all.

    >>> names("regression")
    ['mae', 'rmse', 'r2', 'poisson_deviance', 'gamma_deviance', 'tweedie_deviance', 'gini']
    """
    return [name for name, metric in METRICS.items() if task_type in (None, metric.task_type)]


def metric_named(name: str, *, task_type: TaskType | None = None) -> Metric:
    """The metric of that public spelling; ValueError lists the known ones (of the task, if given)."""
    if name not in names(task_type):
        kind = f"a {task_type} metric" if task_type else "a metric"
        raise ValueError(f"metric must be {kind} ({', '.join(names(task_type))}) but got {name!r}")
    return METRICS[name]


def value(metric: Metric, rows: ScoredRows, *, weights: ArrayLike | None = None) -> float:
    """Value of one metric on n rows with weights (n,); NaN where it is undefined."""
    if rows.task_type != metric.task_type:
        raise ValueError(f"{metric.name} must be used on {metric.task_type} rows but got {rows.task_type}")
    if not len(rows) or _absent(metric, rows):
        return float("nan")
    weight = np.ones((1, len(rows))) if weights is None else np.asarray(weights, dtype=np.float64)[None, :]
    return float(metric.formula(rows, weight)[0])


def evaluate(
    task_type: TaskType,
    y_true: ArrayLike,
    *,
    prediction: ArrayLike | None = None,
    score: ArrayLike | None = None,
    positive: Hashable = None,
    classes: Sequence[Hashable] | None = None,
    metrics: Iterable[str] | None = None,
    weights: ArrayLike | None = None,
) -> dict[str, float]:
    """Metrics of n rows by public spelling: those asked for, else all of the task.

    Arguments are those of `scored_rows`, with case weights (n,). Several classes are averaged with equal
    weight (macro). A metric that has no value is left out; `undefined` says why. Unknown names and
    unusable rows raise ValueError.

    >>> evaluate("regression", [1.0, 2.0, 3.0], prediction=[1.0, 2.0, 5.0], metrics=["mae", "r2"])
    {'mae': 0.6666666666666666, 'r2': -1.0}
    """
    rows = scored_rows(task_type, y_true, prediction=prediction, score=score, positive=positive, classes=classes)
    return evaluate_rows(rows, metrics=metrics, weights=weights)


def evaluate_rows(
    rows: ScoredRows, *, metrics: Iterable[str] | None = None, weights: ArrayLike | None = None
) -> dict[str, float]:
    """`evaluate` for rows that were checked before."""
    wanted = [metric_named(name, task_type=rows.task_type) for name in metrics or names(rows.task_type)]
    values = {metric.name: value(metric, rows, weights=weights) for metric in wanted}
    return {name: number for name, number in values.items() if np.isfinite(number)}


def undefined(rows: ScoredRows, *, metrics: Iterable[str] | None = None) -> dict[str, str]:
    """Why the metrics that `evaluate_rows` leaves out have no value, by name.

    >>> undefined(scored_rows("classification", [1, 1], score=[0.1, 0.9], positive=1), metrics=["roc_auc"])
    {'roc_auc': 'the rows do not hold both the class and another one'}
    """
    wanted = [metric_named(name, task_type=rows.task_type) for name in metrics or names(rows.task_type)]
    missing = [metric for metric in wanted if not np.isfinite(value(metric, rows))]
    return {metric.name: _reason(metric, rows) for metric in missing}


def _absent(metric: Metric, rows: ScoredRows) -> bool:
    return (rows.score if metric.needs == "score" else rows.decision) is None


def _reason(metric: Metric, rows: ScoredRows) -> str:
    if _absent(metric, rows):
        return f"it needs a {metric.needs}"
    return metric.undefined_when if len(rows) else _NO_ROWS
