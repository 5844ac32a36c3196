"""How good a model is: fold by fold on the training part, and once on the frozen holdout."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mlops_site.stats import intervals, metrics
from mlops_site.stats.scored import Floats, ScoredRows, TaskType, scored_rows
from training.ml.decisions import BEST_F1, Rule
from training.ml.estimators import Recipe, Weights
from training.ml.parted import Blocks, Parted, Table
from training.ml.preparation import Preparations
from training.ml.splits import Fold

Classes = Sequence[Hashable] | None
OnFold = Callable[[int, float], None]

# scikit-learn's convention for a fold in which nothing was predicted or is positive.
_ZERO_IF_UNDEFINED = ("f1_score", "precision", "recall")
_IMPORTANCE_CELLS = 400_000


@dataclass(frozen=True, eq=False)
class FoldScores:
    """A metric fold by fold, its mean and standard error, and what was said of the n rows out of fold.

    `out_of_fold` is (n,) or (n, k classes), NaN where a row is in no test fold; `threshold` is the cut on
    P(positive) that the rule chooses on those rows, None unless there are two classes.
    """

    metric: str
    values: tuple[float, ...]
    mean: float
    se: float
    out_of_fold: Floats
    threshold: float | None


@dataclass(frozen=True)
class HoldoutReport:
    """What the holdout says of a model, ready for JSON.

    `metrics`: estimate with its 95 % interval by public spelling; `undefined`: why others have none;
    `calibration`: up to ten bins of equal count with mean prediction and mean truth; `importance`: share of
    the loss that permuting a feature costs, summing to 1.
    """

    rows: int
    groups: int | None
    threshold: float | None
    metrics: dict[str, dict[str, float]]
    undefined: dict[str, str]
    calibration: list[dict[str, float]]
    importance: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def class_order(y: ArrayLike, *, positive: Hashable = None) -> tuple[Hashable, ...]:
    """Labels of a target, the negative one of two first; `positive` defaults to the rarer.

    >>> class_order(["yes", "no", "no"])
    ('no', 'yes')
    """
    return scored_rows("classification", y, positive=positive).classes


def predicted(model: Any, frame: Any, classes: Classes) -> Floats:
    """Values (n,), P(second class) (n,) for two classes, or probabilities (n, k) in the order of `classes`."""
    if isinstance(frame, Parted | Blocks):
        return np.concatenate(list(frame.map(partial(_answers, model, classes))))
    if classes is None:
        return np.asarray(model.predict(frame), dtype=np.float64)
    found = model.predict_proba(frame)
    chances = np.zeros((len(found), len(classes)))
    # A training part may lack a class that the data set has.
    chances[:, [list(classes).index(label) for label in model.classes_.tolist()]] = found
    return chances[:, 1].copy() if len(classes) == 2 else chances


def _answers(model: Any, classes: Classes, frame: Any) -> Floats:
    return predicted(model, frame, classes)


def judged(said: Floats, y: ArrayLike, classes: Classes, *, threshold: float | None = None) -> ScoredRows:
    """Rows with their truth, score and decision; two classes are decided at `threshold` (0.5 if left out)."""
    if classes is None:
        return scored_rows("regression", y, prediction=said)
    cut = 0.5 if threshold is None else threshold
    chosen = (said >= cut).astype(int) if len(classes) == 2 else said.argmax(axis=1)
    labels = np.array([*classes, None], dtype=object)[chosen]
    positive = classes[1] if len(classes) == 2 else None
    return scored_rows("classification", y, prediction=labels, score=said, positive=positive, classes=classes)


def best_threshold(score: ArrayLike, positive: ArrayLike) -> float:
    """The cut that maximises F1 of `score >= cut`, half-way to the next score; 0.5 without any positive.

    >>> best_threshold([0.1, 0.2, 0.6, 0.8], [False, False, True, True])
    0.4
    """
    return BEST_F1.threshold(score, positive)


def cross_validate(
    recipe: Recipe,
    frame: Table,
    y: ArrayLike,
    splits: Sequence[Fold],
    *,
    metric: str,
    classes: Classes = None,
    on_fold: OnFold | None = None,
    prepared: Preparations | None = None,
    rule: Rule = BEST_F1,
    weights: Weights = None,
) -> FoldScores:
    """Fit the recipe on each training part and score it on the test part.

    `weights` (n,) say how much each row counts in a fit; what is scored counts alike.
    Metrics of decisions between two classes use, in each fold, the threshold that `rule` chooses on the *other*
    folds. What `prepared` has of this frame is taken from it, and kept in it. `on_fold(number, value)` hears of each
    fold as it ends, its decisions cut at its own best threshold; what it raises (a pruned trial, a stop) ends the
    validation.

    Raises:
        ValueError: the metric is unknown for the task or has no value in a fold.
    """
    wanted = metrics.metric_named(metric, task_type=recipe.task_type)
    truth = np.asarray(y)
    n_classes = len(classes or ())
    said = np.full((len(truth), n_classes) if n_classes > 2 else len(truth), np.nan)
    kept, plan = prepared or Preparations(frame), recipe.plan
    for number, (train, test) in enumerate(splits):
        rows, rest = kept.fold(plan, train, test)
        counted = None if weights is None else weights[train]
        said[test] = predicted(recipe.trained(*rows, truth[train], counted), rest, classes)
        if on_fold is not None:
            cut = _cut(said[test], truth[test], classes, rule)
            on_fold(number, _value(wanted, judged(said[test], truth[test], classes, threshold=cut), number))
    values = _fold_values(wanted, said, truth, splits, classes, rule)
    spread = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    every = np.concatenate([test for _, test in splits])
    cut = _cut(said[every], truth[every], classes, rule)
    return FoldScores(metric, values, float(np.mean(values)), spread, said, cut)


def _fold_values(
    wanted: metrics.Metric, said: Floats, truth: NDArray[Any], splits: Sequence[Fold], classes: Classes, rule: Rule
) -> tuple[float, ...]:
    values = []
    for number, (_, test) in enumerate(splits):
        others = np.concatenate([rows for at, (_, rows) in enumerate(splits) if at != number])
        cut = _cut(said[others], truth[others], classes, rule)
        values.append(_value(wanted, judged(said[test], truth[test], classes, threshold=cut), number))
    return tuple(values)


def _cut(said: Floats, truth: NDArray[Any], classes: Classes, rule: Rule) -> float | None:
    return rule.threshold(said, truth == classes[1]) if classes is not None and len(classes) == 2 else None


def value_of(metric: str, rows: ScoredRows, *, task_type: TaskType) -> float:
    """A metric of some rows; 0 where scikit-learn says so. Raises ValueError when it has no value."""
    return _value(metrics.metric_named(metric, task_type=task_type), rows, 0)


def _value(wanted: metrics.Metric, rows: ScoredRows, number: int) -> float:
    found = metrics.value(wanted, rows)
    if np.isfinite(found):
        return found
    if wanted.name in _ZERO_IF_UNDEFINED:
        return 0.0
    why = metrics.undefined(rows, metrics=[wanted.name])[wanted.name]
    raise ValueError(f"{wanted.name} must have a value in every fold but has none in fold {number + 1}: {why}")


def holdout_report(
    model: Any,
    frame: pd.DataFrame,
    y: ArrayLike,
    *,
    classes: Classes = None,
    threshold: float | None = None,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> HoldoutReport:
    """Report on n rows that the model and its threshold have never seen; whole `groups` are resampled if given."""
    said = predicted(model, frame, classes)
    rows = judged(said, y, classes, threshold=threshold)
    found, undefined = {}, metrics.undefined(rows)
    for name in metrics.evaluate_rows(rows):
        try:
            interval = intervals.bootstrap(name, rows, groups=groups, draws=draws, seed=seed)
        except ValueError as problem:
            undefined[name] = str(problem)
            continue
        found[name] = {key: getattr(interval, key) for key in ("estimate", "lower", "upper", "se")}
    return HoldoutReport(
        rows=len(rows),
        groups=None if groups is None else int(pd.Series(np.asarray(groups)).nunique()),
        threshold=threshold,
        metrics=found,
        undefined=undefined,
        calibration=calibration(said, rows.truth) if said.ndim == 1 else [],
        importance=importance(model, frame, rows.truth, classes=classes, seed=seed),
    )


def calibration(said: Floats, truth: ArrayLike, *, bins: int = 10) -> list[dict[str, float]]:
    """Mean prediction and mean truth in bins of about equal count; ties stay together."""
    table = pd.DataFrame({"predicted": said, "observed": np.asarray(truth, dtype=np.float64)})
    edges = np.unique(np.quantile(said, np.linspace(0, 1, bins + 1)))[1:-1]
    grouped = table.groupby(np.searchsorted(edges, said, side="right"))
    means = grouped.mean().assign(rows=grouped.size(), lowest=grouped.predicted.min())
    return [{str(key): float(value) for key, value in row.items()} for row in means.to_dict("records")]


def actual_to_expected(said: Floats, truth: ArrayLike) -> list[dict[str, float | None]]:
    """Of the deciles of the predictions, lowest first: rows, mean prediction, mean truth and their ratio."""
    return [
        {**part, "ratio": part["observed"] / part["predicted"] if part["predicted"] else None}
        for part in calibration(said, truth)
    ]


def importance(
    model: Any,
    frame: pd.DataFrame,
    truth: NDArray[Any],
    *,
    classes: Classes = None,
    repeats: int = 3,
    seed: int = 0,
) -> dict[str, float]:
    """Share of each feature in the squared error added by permuting it; uniform if none adds any.

    `truth` holds values, or codes into `classes`. At most 2,000 rows are used, fewer for many features.
    Source: Breiman (2001), section 10.
    """
    random = np.random.default_rng(seed)
    n = min(len(frame), 2_000, max(200, _IMPORTANCE_CELLS // frame.shape[1]))
    picked = random.choice(len(frame), n, replace=False)
    rows, real = frame.iloc[picked], truth[picked]
    if classes is not None and len(classes) > 2:
        real = np.eye(len(classes))[real]
    before = np.square(predicted(model, rows, classes) - real).mean()
    stacked, reals = pd.concat([rows] * repeats, ignore_index=True), np.concatenate([real] * repeats)
    costs = {}
    for name in frame.columns:
        shuffle = np.concatenate([random.permutation(n) for _ in range(repeats)])
        moved = stacked.assign(**{name: rows[name].array[shuffle]})
        costs[name] = max(0.0, float(np.square(predicted(model, moved, classes) - reals).mean() - before))
    total = sum(costs.values())
    return {name: cost / total if total else 1 / len(costs) for name, cost in costs.items()}
