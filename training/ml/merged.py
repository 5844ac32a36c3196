"""Fits by parts: what each part of the rows says is summed, and the sums are those of all rows.

Preparation is scikit-learn's own: medians, means and variances of a column of numbers read whole, levels counted part
by part. Linear regression is solved from the sums of products; logistic regression goes down the summed gradient.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cholesky, solve_triangular
from scipy.linalg import cho_solve as solved
from scipy.optimize import minimize
from scipy.special import expit, logsumexp, softmax
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_class_weight

from mlops_site.stats.columns import Kind
from training.ml.parted import Blocks, Parted

Floats = NDArray[np.float64]
Weights = Floats | None
SAMPLE_ROWS = 20_000  # on which a logistic regression starts
_DESCENT: Any = {"maxiter": 1_000, "gtol": 1e-8, "ftol": 0.0, "maxcor": 50}
_LEARNT = ("statistics_", "mean_", "var_", "scale_")


def columns_of(prepare: Callable[[Mapping[str, Kind]], ColumnTransformer], frame: Parted, most: int) -> Any:
    """The columns that `prepare` would be fitted to on the whole frame: equal but for the last bits of a mean. Of a
    category at most so many levels are kept apart."""
    numbers = [name for name, kind in frame.kinds.items() if kind == "number"]
    levels = _levels(frame, most)
    rows = max([2, *map(len, levels.values())])
    standing = {name: [*found, *[found[-1]] * (rows - len(found))] for name, found in levels.items()}
    each = {**dict.fromkeys(numbers, np.zeros(rows)), **standing}
    columns = prepare(frame.kinds).fit(pd.DataFrame({name: each[name] for name in frame.kinds}))
    whole = columns.named_transformers_.get("number", "passthrough")
    if numbers and hasattr(whole, "fit_transform") and not _is_passing(whole):
        alone = partial(_alone, prepare)
        work = ((name, frame.number(name)) for name in numbers)
        _join(_steps(whole), [_steps(each) for each in frame.executor.map(alone, work, ahead=0)])
    return columns


def _is_passing(step: Any) -> bool:
    """A step that learns nothing."""
    return not any(hasattr(each, name) for each in _steps(step) for name in _LEARNT)


def _steps(step: Any) -> list[Any]:
    return [each for _, each in step.steps] if isinstance(step, Pipeline) else [step]


def _alone(prepare: Callable[[Mapping[str, Kind]], ColumnTransformer], work: tuple[str, Floats]) -> Any:
    name, values = work
    return prepare({name: "number"}).fit(pd.DataFrame({name: values})).named_transformers_["number"]


def _join(whole: list[Any], alone: list[list[Any]]) -> None:
    """Put what was learnt of each column by itself into the steps for all of them."""
    for at, step in enumerate(whole):
        for name in (name for name in _LEARNT if hasattr(step, name)):
            setattr(step, name, np.concatenate([getattr(steps[at], name) for steps in alone]))
        if hasattr(step, "n_samples_seen_"):
            step.n_samples_seen_ = alone[0][at].n_samples_seen_


def _levels(frame: Parted, most: int) -> dict[str, list[str]]:
    """Of each category its levels in order, the frequent ones twice where there are more than `most`: fitted on these,
    an encoder keeps apart those that it would keep apart on all rows."""
    names = [name for name, kind in frame.kinds.items() if kind == "category"]
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    if names:
        for part in frame.narrowed(names).map(_counted):
            for name in names:
                counts[name].update(part[name])
    return {name: _ranked(found, most) for name, found in counts.items()}


def _counted(frame: pd.DataFrame) -> dict[str, dict[Any, int]]:
    return {str(name): frame[name].value_counts(dropna=False).to_dict() for name in frame.columns}


def _ranked(counts: Mapping[str, int], most: int) -> list[str]:
    levels = sorted(counts)
    if len(levels) <= most:
        return levels
    order = np.argsort([counts[level] for level in levels], kind="stable")  # as scikit-learn breaks ties
    return [*levels, *(levels[at] for at in order[-(most - 1) :])]


class Products(NamedTuple):
    """Sums over rows, each counting as its weight: of 1, of columns x and a value y, and of their products."""

    total: float
    x: Floats
    y: float
    xx: Floats
    xy: Floats


def ridge(model: Ridge, blocks: Blocks, y: Any, weights: Weights = None) -> Ridge:
    """A linear regression fitted to prepared rows (n, columns), truth (n,) and weights (n,): the exact minimum, which
    scikit-learn's own solvers come near to."""
    truth = np.asarray(y, np.float64)
    middle = float(truth.mean())
    if "products" not in blocks.kept:
        parts = blocks.map(_products, truth - middle, weights)
        blocks.kept["products"] = Products(*(sum(each[1:], each[0]) for each in zip(*parts, strict=True)))
    found: Products = blocks.kept["products"]
    mean = found.x / found.total
    inner = found.xx - found.total * np.outer(mean, mean)
    slope = found.xy - mean * found.y
    model.coef_ = solved(cho_factor(inner + model.alpha * np.eye(len(mean))), slope)
    model.intercept_ = middle + found.y / found.total - float(mean @ model.coef_)
    model.n_features_in_, model.n_iter_, model.solver_ = len(mean), None, "cholesky"
    return model


def _products(matrix: Any, y: Floats, weights: Weights) -> Products:
    counted = np.ones(len(y)) if weights is None else weights
    weighted = matrix.multiply(counted[:, None]).tocsr() if hasattr(matrix, "tocsr") else matrix * counted[:, None]
    inner = weighted.T @ matrix
    dense = inner.toarray() if hasattr(inner, "toarray") else inner
    sums = np.asarray(weighted.sum(axis=0)).ravel()
    return Products(float(counted.sum()), sums, float(counted @ y), dense, np.asarray(weighted.T @ y).ravel())


def logistic(model: LogisticRegression, blocks: Blocks, y: Any, weights: Weights = None) -> LogisticRegression:
    """A logistic regression under the square penalty, fitted to prepared rows (n, columns), labels (n,) and weights.

    It starts from a fit to at most 20,000 of the rows and goes down the gradient of all (L-BFGS) in coordinates in
    which the sample's curvature is the same in every direction, so that few passes are enough.
    """
    codes, classes = pd.factorize(np.asarray(y), sort=True)
    counted = np.ones(len(codes)) if weights is None else np.array(weights, np.float64)
    if model.class_weight is not None:
        balance = compute_class_weight(
            model.class_weight, classes=np.arange(len(classes)), y=codes, sample_weight=counted
        )
        counted *= balance[codes]
    total, width = float(counted.sum()), blocks.shape[1]
    start, turn = _begun(model, blocks, codes, counted, len(classes))
    parts = blocks.keep(codes, counted)  # prepared once for all passes

    def steepness(moved: Floats) -> tuple[float, Floats]:
        beta = start + _turned(turn, moved.reshape(start.shape))
        loss, slope = np.sum(beta[:, :-1] ** 2) / 2 / model.C, np.c_[beta[:, :-1] / model.C, np.zeros(len(beta))]
        for each in parts.map(partial(_loss, beta=beta)):
            loss, slope = loss + each[0], slope + each[1]
        return loss / total, _turned(turn, slope, back=True).ravel() / total

    found = minimize(steepness, np.zeros(start.size), jac=True, method="L-BFGS-B", options=_DESCENT)
    beta = start + _turned(turn, found.x.reshape(start.shape))
    if len(beta) > 1:
        beta[:, -1] -= beta[:, -1].mean()  # they count only against each other
    model.coef_, model.intercept_ = beta[:, :-1].copy(), beta[:, -1].copy()
    model.classes_, model.n_iter_ = classes, np.array([found.nit], np.int32)
    model.n_features_in_ = width
    return model


def _begun(
    model: LogisticRegression, blocks: Blocks, codes: NDArray[Any], counted: Floats, n_classes: int
) -> tuple[Floats, Floats]:
    """Coefficients (k, columns + 1, the intercept last) of the sample, and for each of them the upper triangle R
    (k, columns + 1, columns + 1) of its curvature R'R there, a row's worth of it."""
    some = blocks.frame.sample(SAMPLE_ROWS)
    matrix = blocks.columns.transform(blocks.frame.iloc[some].read())
    share, width = counted.sum() / max(counted[some].sum(), 1e-300), matrix.shape[1]
    rows = 1 if n_classes == 2 else n_classes
    beta = np.zeros((rows, width + 1))
    if len(np.unique(codes[some])) == n_classes:  # else a rare class is not among them
        one = clone(model).set_params(C=model.C * share, class_weight=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it need not arrive: the rest of the way is ours
            one.fit(matrix, codes[some], sample_weight=counted[some])
        beta = np.c_[one.coef_, one.intercept_]
    chances = _chances(np.asarray(matrix @ beta[:, :-1].T) + beta[:, -1])
    turn = []
    for row in range(rows):
        steep = counted[some] * chances[:, row] * (1 - chances[:, row]) * share
        sums = _products(matrix, np.zeros(len(some)), steep)
        inner = np.block(
            [[sums.xx + np.eye(width) / model.C, sums.x[:, None]], [sums.x[None, :], np.array([[sums.total]])]]
        )
        turn.append(cholesky(inner / counted.sum() + 1e-10 * np.eye(width + 1)))
    return beta, np.array(turn)


def _turned(turn: Floats, moved: Floats, *, back: bool = False) -> Floats:
    """From coordinates of equal curvature to coefficients; `back` turns a gradient the other way."""
    return np.array(
        [solve_triangular(one, row, trans="T" if back else "N") for one, row in zip(turn, moved, strict=True)]
    )


def _chances(raw: Floats) -> Floats:
    found: Floats = expit(raw) if raw.shape[1] == 1 else softmax(raw, axis=1)
    return found


def _loss(matrix: Any, codes: NDArray[Any], counted: Floats, *, beta: Floats) -> tuple[float, Floats]:
    """Of some rows: the summed loss, and its slope by coefficient."""
    raw = np.asarray(matrix @ beta[:, :-1].T) + beta[:, -1]
    truth = (codes == 1.0)[:, None] if raw.shape[1] == 1 else codes[:, None] == np.arange(raw.shape[1])
    above = np.logaddexp(0, raw[:, 0]) if raw.shape[1] == 1 else logsumexp(raw, axis=1)
    loss = float(counted @ (above - np.sum(raw * truth, axis=1)))
    missed = counted[:, None] * (_chances(raw) - truth)
    return loss, np.c_[np.asarray(matrix.T @ missed).T, missed.sum(axis=0)]
