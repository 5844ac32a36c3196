"""What the drift of one feature does to a model's answers, and by estimate to its metric, before any label is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mlops_site.stats.bins import Counts
from mlops_site.stats.cells import read_cells
from mlops_site.stats.profile import Profile
from mlops_site.stats.scored import Floats
from monitoring.stats.traffic import groups_of

LEAST_WEIGHT, MOST_WEIGHT = 0.05, 20.0
FEWEST_ROWS = 100
DRAWS = 200


class Loss(NamedTuple):
    """`score_change` is how far the mean score moved with the feature. `loss` is what the expected F1 lost with it,
    positive for worse, with its standard error. All from `rows` rows of the window."""

    score_change: float
    loss: float
    se: float
    rows: int


def losses(
    rows: pd.DataFrame, scores: Floats, threshold: float, *, current: Profile, reference: Profile, names: Iterable[str]
) -> dict[str, Loss]:
    """Of each named feature, from n logged rows of the window with their P(positive), and the profiles of the window
    and the reference on one set of bins. Features that cannot be read in a row are left out, and all of fewer than
    100 rows.

    The rows are weighted by reference share / window share of the feature's value, which undoes the drift of this
    feature together with what moves along with it, and leaves the rest; the metric is expected of calibrated scores.
    It holds for covariate shift: where the truth for the same claim changes, no method without labels sees it.
    Sources: Shimodaira (2000), J. Stat. Plan. Inference 90; Sugiyama, Krauledat and Mueller (2007), JMLR 8, on the
    weights; Bialek, Kuberski, Perrakis and Bifet (2024), arXiv:2401.08348, on the expected confusion.
    """
    known = ~np.isnan(scores)
    if int(known.sum()) < FEWEST_ROWS:
        return {}
    scores, rows = scores[known], rows[known]
    n = len(scores)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(np.float64)
    draws[0] = 1.0  # the rows as they are
    parts = _parts(scores, threshold)
    plain = _f1(draws @ parts)
    found = {}
    for name in names:
        weights = _weights(rows.get(name), current, reference, name)
        if weights is not None:
            gaps = _f1(draws @ (weights[:, None] * parts)) - plain
            moved = float(scores.mean() - np.average(scores, weights=weights))
            found[name] = Loss(moved, float(gaps[0]), float(gaps[1:].std()), n)
    return found


def _parts(scores: Floats, threshold: float) -> Floats:
    """Expected true positives, false positives and false negatives of each row, (n, 3)."""
    said = scores >= threshold
    return np.stack([scores * said, (1 - scores) * said, scores * ~said], axis=1)


def _f1(sums: Floats) -> Floats:
    total = 2 * sums[:, 0] + sums[:, 1] + sums[:, 2]
    return np.divide(2 * sums[:, 0], total, out=np.zeros(len(sums)), where=total > 0)


def _weights(column: Any, current: Profile, reference: Profile, name: str) -> Floats | None:
    """(n,), with a mean of 1; None where a cell cannot be read."""
    bins = reference.bins.features[name]
    cells = read_cells(name, column, bins.kind, rows=0 if column is None else len(column))
    if column is None or cells.unreadable or not len(column):
        return None
    theirs = reference.counts_of(name)[:-1]
    groups = groups_of(theirs, bins)
    ours, before = (_by_group(groups, side) for side in (current.counts_of(name)[:-1], theirs))
    ratio = np.clip(before / ours, LEAST_WEIGHT, MOST_WEIGHT)
    weights = ratio[groups[bins.places(cells.values)]]
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def _by_group(groups: Counts, counts: Counts) -> Floats:
    summed = np.bincount(groups, weights=counts) + 0.5
    return np.asarray(summed / summed.sum(), dtype=np.float64)


def as_frame(rows: Iterable[Mapping[str, Any]], names: Iterable[str]) -> pd.DataFrame:
    """Logged rows as columns of plain cells: no type is inferred, so each cell is judged by itself."""
    given = list(rows)
    return pd.DataFrame({name: pd.Series([row.get(name) for row in given], dtype=object) for name in names})
