"""How good a whole search is: its choice judged on rows that the choosing never saw.

The best of many trials looks better over its own folds than it is (Cawley and Talbot 2010, section 5). Nested
cross-validation searches again inside each outer fold and scores what was chosen there on the fold's other rows: the
mean over the outer folds is an unbiased estimate for the search as such, at the price of one more search each.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy  # loads its parts at their first use
from numpy.typing import ArrayLike, NDArray

from mlops_site.stats.metrics import metric_named
from training.ml import evaluate
from training.ml.estimators import Weights
from training.ml.evaluate import Classes
from training.ml.parted import Table
from training.ml.search import Best
from training.ml.splits import Fold

LEVEL = 0.95


@dataclass(frozen=True)
class OuterScore:
    """What an outer fold chose, what its own folds promised, and what the rows that it never saw say."""

    model_type: str
    params: dict[str, Any]
    promised: float
    value: float
    rows: int


def outer_score(
    best: Best,
    fold: Fold,
    frame: Table,
    y: ArrayLike,
    *,
    metric: str,
    classes: Classes = None,
    weights: Weights = None,
) -> OuterScore:
    """Refit the choice on the fold's training rows and score it on its test rows, cut at the threshold that was chosen
    inside. Raises ValueError when the metric has no value there."""
    train, test = fold
    truth: NDArray[Any] = np.asarray(y)
    model = best.recipe.fit(frame.iloc[train], truth[train], None if weights is None else weights[train])
    said = evaluate.predicted(model, frame.iloc[test], classes)
    rows = evaluate.judged(said, truth[test], classes, threshold=best.threshold)
    value = evaluate.value_of(metric, rows, task_type=best.recipe.task_type)
    return OuterScore(best.recipe.name, dict(best.recipe.params), best.mean, value, len(test))


def told(metric: str, scores: Sequence[OuterScore], *, promised: float) -> dict[str, Any]:
    """Ready for JSON: the mean over k outer folds with its standard error and 95 % interval (Student's t; the folds
    share rows, so that it is a little too narrow: Bengio and Grandvalet 2004), `promised` by the search's own folds,
    and by how much that was too good: `optimism`, in units of the metric."""
    greater = metric_named(metric).greater_is_better
    values = np.array([score.value for score in scores])
    mean, se = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    half = float(scipy.stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * se
    return {
        "metric": metric,
        "mean": mean,
        "se": se,
        "ci95": [mean - half, mean + half],
        "promised": promised,
        "optimism": promised - mean if greater else mean - promised,
        "folds": [asdict(score) for score in scores],
    }
