"""The one table of what an experiment can be decided on, and what each judged unit adds to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.scored import Floats
from monitoring.stats.shape import Shape

Kind = Literal["share", "cost", "mean", "ranking"]


class Costs(NamedTuple):
    """What a wrong decision costs, in any one currency."""

    false_positive: float
    false_negative: float


class Measure(NamedTuple):
    """A ratio of two sums over the cells (tp, fp, fn, tn), or for "mean" and "ranking" something else."""

    name: str
    kind: Kind
    greater_is_better: bool
    top: tuple[float, float, float, float] = (0, 0, 0, 0)
    bottom: tuple[float, float, float, float] = (1, 1, 1, 1)


_SHARES = (
    Measure("accuracy", "share", True, (1, 0, 0, 1)),
    Measure("precision", "share", True, (1, 0, 0, 0), (1, 1, 0, 0)),
    Measure("recall", "share", True, (1, 0, 0, 0), (1, 0, 1, 0)),
    Measure("f1_score", "share", True, (2, 0, 0, 0), (2, 1, 1, 0)),
)
_OUTCOME = Measure("outcome", "mean", True)


def measures(
    shape: Shape, *, paired: bool, costs: Costs | None = None, greater_outcome_is_better: bool = True
) -> dict[str, Measure]:
    """What experiments on models of this shape can be decided on, by public spelling.

    Two classes: accuracy, precision, recall, f1_score, brier, cost per claim where `costs` are given; more classes:
    accuracy; values: mae, rmse. Two arms only: roc_auc, and the mean of an outcome that was logged (of a claim that B
    judged silently nobody knows what B's decision would have led to).

    >>> [*measures(Shape("classification", (0, 1), 1), paired=True)]
    ['accuracy', 'precision', 'recall', 'f1_score', 'brier']
    """
    if shape.task_type == "regression":
        found = [Measure("mae", "mean", False), Measure("rmse", "mean", False)]
    elif shape.is_binary:
        found = [*_SHARES, Measure("brier", "mean", False)]
        if costs is not None:
            found.append(Measure("cost", "cost", False, (0, costs.false_positive, costs.false_negative, 0)))
        if not paired:
            found.append(Measure("roc_auc", "ranking", True))
    else:
        found = [_SHARES[0]]
    if not paired:
        found.append(_OUTCOME._replace(greater_is_better=greater_outcome_is_better))
    return {measure.name: measure for measure in found}


def chosen(names: Sequence[str], known: dict[str, Measure]) -> list[Measure]:
    """The measures of `names`, by public spelling.

    ValueError names the first that is unknown, with the known ones, and the first that is repeated.
    """
    found = [known.get(name) for name in names]
    for name, measure in zip(names, found, strict=True):
        if measure is None:
            raise ValueError(f"success metric must be one of {', '.join(known)} but got {name!r}")
        if found.count(measure) > 1:
            raise ValueError(f"success metrics must be different but got {measure.name} twice")
    return [measure for measure in found if measure is not None]


def value(measure: Measure, cells: Counts) -> float | None:
    """The measure of counts (tp, fp, fn, tn); None where nothing is counted below the line.

    >>> value(_SHARES[2], np.array([8, 5, 2, 85]))
    0.8
    """
    bottom = float(cells @ np.array(measure.bottom))
    return float(cells @ np.array(measure.top)) / bottom if bottom > 0 else None


def influence(measure: Measure, cells: Floats) -> Floats:
    """What one unit of each cell adds to the measure, times the number of units: its gradient on the shares of the
    cells, whose variance over the units is that of the measure, times their number (the delta method)."""
    top, bottom = np.array(measure.top), np.array(measure.bottom)
    below = float(cells @ bottom) / float(cells.sum())
    return (top - (float(cells @ top) / float(cells @ bottom)) * bottom) / below


def cell_error(measure: Measure, cells: Counts) -> float:
    """Standard error of one arm's measure by the delta method; half a unit is added to each cell for this alone."""
    smooth: Floats = cells + np.float64(0.5)
    steps, n = influence(measure, smooth), float(smooth.sum())
    variance = float(smooth @ np.square(steps)) / n - (float(smooth @ steps) / n) ** 2
    return math.sqrt(max(variance, 0.0) / float(cells.sum()))


def in_digits(value: float, digits: int = 3, *, signed: bool = False) -> str:
    """A value in a sentence, to so many digits: large ones without an exponent, which nobody reads as an amount.

    >>> in_digits(3592.3), in_digits(0.0631, 2), in_digits(-12345.6, 4, signed=True), in_digits(20.0)
    ('3,590', '0.063', '-12,350', '20')
    """
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:{'+' if signed else ''},.{max(digits, 12)}g}"
