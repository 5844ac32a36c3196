"""Whether rows differ from the reference as a whole, which features that are looked at one by one cannot tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy  # loads its parts at their first use

from mlops_site.stats.cells import read_cells
from mlops_site.stats.columns import Kind
from mlops_site.stats.scored import Floats

FEWEST = 100  # rows on either side
FOLDS = 5
LEVELS = 20  # of a category that have a column of their own; the others share one
KEPT_VARIANCE = 0.65  # of the reference, in the components that rows are rebuilt from
LIMIT = 0.01  # p-value
_Z95 = 1.959963984540054


class DomainClassifier(NamedTuple):
    """AUC of telling window from reference: 0.5 for not at all. The p-value is one-sided."""

    auc: float
    ci95: tuple[float, float]
    p_value: float


class Reconstruction(NamedTuple):
    """Mean distance of rows from what the reference's `components` make of them, in both samples; the p-value is of the
    rank-sum test, two-sided."""

    error: float
    reference_error: float
    components: int
    p_value: float


class Multivariate(NamedTuple):
    """Of `rows` rows of the window and `reference_rows` others."""

    rows: int
    reference_rows: int
    classifier: DomainClassifier | None
    reconstruction: Reconstruction | None
    drifted: bool
    note: str


def multivariate(current: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind]) -> Multivariate:
    """Of n and m rows, whose columns of `kinds` are used as far as they can be read on both sides. Seeds are fixed."""
    n, m = len(current), len(reference)
    if min(n, m) < FEWEST:
        side = "window" if n < FEWEST else "reference"
        return Multivariate(n, m, None, None, False, f"too few rows of the {side} ({min(n, m)} of at least {FEWEST})")
    columns = _columns(current, reference, kinds)
    if not columns:
        return Multivariate(n, m, None, None, False, "no column can be read on both sides")
    table = np.column_stack(columns)
    classifier = domain_classifier(table[:n], table[n:])
    rebuilt = reconstruction(table[:n], table[n:])
    p_values = [each.p_value for each in (classifier, rebuilt) if each is not None]
    return Multivariate(n, m, classifier, rebuilt, min(p_values) <= LIMIT / len(p_values), "")


def domain_classifier(current: Floats, reference: Floats) -> DomainClassifier:
    """Boosted trees that tell (n, c) from (m, c) rows, each row judged by a fold that has not seen it.

    Within a fold the ranks of rows of one distribution are exchangeable whatever the trees have learned elsewhere, so
    that without a difference the AUC has the mean 1/2 and the variance (n + m + 1) / (12 n m) of the rank-sum test. The
    folds are averaged; they share most of what they learn from, so the variance of a mean of K is that of one times
    1 / K + 1 / (K - 1) (Nadeau and Bengio 2003, Machine Learning 52): taken for independent, they gave 3.7 % false
    alarms at 1 %. The interval is Hanley and McNeil's (1982, Radiology 143) with the same factor. Source: Lopez-Paz and
    Oquab (2017), Revisiting classifier two-sample tests.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    table, truth = np.concatenate([current, reference]), np.r_[np.ones(len(current)), np.zeros(len(reference))]
    areas, variances, spreads = [], [], []
    for learn, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(table, truth):
        trees = HistGradientBoostingClassifier(
            max_iter=40, learning_rate=0.15, max_leaf_nodes=15, early_stopping=False, random_state=0
        )
        with threadpool_limits(1):  # so few rows are not worth threads that wait for each other on busy cores
            scores = trees.fit(table[learn], truth[learn]).predict_proba(table[test])[:, 1]
        ones, zeros = scores[truth[test] == 1], scores[truth[test] == 0]
        area = float(scipy.stats.mannwhitneyu(ones, zeros).statistic) / (len(ones) * len(zeros))
        areas.append(area)
        variances.append((len(ones) + len(zeros) + 1) / (12 * len(ones) * len(zeros)))
        spreads.append(_hanley_mcneil(area, len(ones), len(zeros)))
    auc, factor = float(np.mean(areas)), 1 / FOLDS + 1 / (FOLDS - 1)
    null, half = math.sqrt(factor * np.mean(variances)), _Z95 * math.sqrt(factor * np.mean(spreads))
    p_value = float(scipy.stats.norm.sf((auc - 0.5) / null))
    return DomainClassifier(auc, (max(0.0, auc - half), min(1.0, auc + half)), p_value)


def _hanley_mcneil(area: float, n: int, m: int) -> float:
    """Variance of an AUC."""
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    return (area * (1 - area) + (n - 1) * (first - area**2) + (m - 1) * (second - area**2)) / (n * m)


def reconstruction(current: Floats, reference: Floats) -> Reconstruction | None:
    """How far (n, c) rows lie from the main components of one half of the (m, c) reference rows, against how far the
    other half does; None where there is but one column. Missing values stand at the reference's median.

    It sees broken relations between columns that are each spread as before. Source: Jackson and Mudholkar (1979),
    Technometrics 21, on the residuals of principal components.
    """
    if current.shape[1] < 2:
        return None
    order = np.random.default_rng(0).permutation(len(reference))
    half, other = reference[order[: len(order) // 2]], reference[order[len(order) // 2 :]]
    with np.errstate(all="ignore"):
        middle = np.nan_to_num(np.nanmedian(np.where(np.isnan(half).all(axis=0), 0.0, half), axis=0))
    filled = [np.where(np.isnan(side), middle, side) for side in (half, other, current)]
    centre, scale = filled[0].mean(axis=0), filled[0].std(axis=0)
    used = scale > 0
    if int(used.sum()) < 2:
        return None
    scaled = [(side[:, used] - centre[used]) / scale[used] for side in filled]
    _, sizes, axes = np.linalg.svd(scaled[0], full_matrices=False)
    shares = np.cumsum(sizes**2) / float((sizes**2).sum())
    kept = min(int(np.searchsorted(shares, KEPT_VARIANCE)) + 1, int(used.sum()) - 1)
    errors = [np.linalg.norm(side - side @ axes[:kept].T @ axes[:kept], axis=1) for side in scaled[1:]]
    p_value = float(scipy.stats.mannwhitneyu(errors[1], errors[0]).pvalue)
    return Reconstruction(float(errors[1].mean()), float(errors[0].mean()), kept, p_value)


def _columns(current: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind]) -> list[Floats]:
    """Numbers as they are, categories as a column for each of their frequent levels; both samples below each other."""
    found: list[Floats] = []
    for name, kind in kinds.items():
        sides = [read_cells(name, frame.get(name), kind, rows=len(frame)) for frame in (current, reference)]
        if any(side.unreadable for side in sides):
            continue
        if kind == "number":
            found += _numbers(np.concatenate([side.values for side in sides]))
        else:
            found += _indicators([*sides[0].values, *sides[1].values])
    return found


def _numbers(values: Floats) -> list[Floats]:
    """The column where enough of it is there, and whether it is missing where that differs."""
    missing = np.isnan(values)
    own = [values] if len(values) - int(missing.sum()) >= FEWEST else []
    return [*own, missing.astype(np.float64)] if 0 < int(missing.sum()) < len(values) else own


def _indicators(values: list[Any]) -> list[Floats]:
    codes, levels = pd.factorize(np.array(values, dtype=object))
    sizes = np.bincount(codes, minlength=len(levels))
    frequent = np.argsort(-sizes, kind="stable")[:LEVELS]
    return [(codes == level).astype(np.float64) for level in frequent]
