"""One output of a scikit-learn model as a sum over its prepared columns, read back to the inputs."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.artifacts.additive import Space, Weights, additive
from registry.artifacts.engines import SklearnScorer
from registry.artifacts.leaves import Leaves
from registry.artifacts.owners import owners, split
from registry.artifacts.rows import Columns

Floats = NDArray[np.float64]
_LEAST = 1e-12  # a probability of nought has no finite log-odds


class Sum(NamedTuple):
    """An output as a sum over prepared columns, and how its inputs are read off it."""

    method: Literal["trees", "linear"]
    space: Space
    scorer: SklearnScorer
    prepare: Any
    order: list[int]  # of the players in the signature, by their position in the model's own order
    intercept: float
    base: float  # the mean over the background, the intercept included
    leaves: Leaves | None
    slopes: Floats | None  # (columns,) of a linear output
    owner: list[int]
    middle: Floats  # (columns,) the background's means
    single: bool

    @property
    def nbytes(self) -> int:
        return 0 if self.leaves is None else self.leaves.nbytes

    def explain(self, row: Columns) -> tuple[float, Floats]:
        """The sum, and what each input adds to the base value, in the order of the signature."""
        return self._explain(self._prepared(row)[0])

    def explain_all(self, rows: Columns) -> list[tuple[float, Floats]]:
        """`explain` of each row. They are prepared together, which takes far longer than all that follows."""
        return [self._explain(prepared) for prepared in self._prepared(rows)]

    def _explain(self, prepared: Floats) -> tuple[float, Floats]:
        full = np.zeros(len(self.order))
        if self.leaves is not None:
            said, found = self.leaves.total(prepared), self.leaves.explain(prepared)
        else:
            slopes = np.asarray(self.slopes)
            parts = (prepared - self.middle) * slopes
            said, found = float(prepared @ slopes), np.bincount(self.owner, parts).astype(np.float64)
        full[: len(found)] = found
        return self.intercept + said, full[self.order]

    def total(self, row: Columns) -> float:
        prepared = self._prepared(row)[0]
        if self.leaves is not None:
            return self.intercept + self.leaves.total(prepared)
        return self.intercept + float(prepared @ np.asarray(self.slopes))

    def _prepared(self, rows: Columns) -> Floats:
        return np.asarray(_prepared_rows(self.scorer, self.prepare, rows, single=self.single), np.float64)


def take_apart(scorer: SklearnScorer, output: int | None, background: Columns) -> Sum | None:
    prepare, estimator = split(scorer.model)
    summed = additive(estimator, output, len(scorer.signature.classes or ()))
    names = list(scorer.signature.names if scorer.order is None else scorer.order)
    owner = owners(prepare, names)
    if summed is None or owner is None:
        return None
    single = False if isinstance(summed, Weights) else summed.single
    rows = _prepared_rows(scorer, prepare, background, single=single)
    if rows.shape[1] != len(owner):
        return None
    order = [names.index(name) for name in scorer.signature.names]
    shared: dict[str, Any] = {"space": summed.space, "prepare": prepare, "order": order, "intercept": summed.intercept}
    shared |= {"owner": owner, "scorer": scorer, "middle": rows.mean(axis=0), "single": single}
    if isinstance(summed, Weights):
        base = summed.intercept + float(shared["middle"] @ summed.coefficients)
        return Sum(method="linear", leaves=None, slopes=summed.coefficients, base=base, **shared)
    leaves = Leaves(summed.trees, owner, rows)
    return Sum(method="trees", leaves=leaves, slopes=None, base=summed.intercept + leaves.base(), **shared)


def _prepared_rows(scorer: SklearnScorer, prepare: Any, rows: Columns, *, single: bool) -> Floats:
    """The columns (n, columns) that the estimator sees; trees compare them in single precision."""
    given = scorer.given(rows)
    made = given if prepare is None else prepare.transform(given)
    made = made.toarray() if hasattr(made, "toarray") else np.asarray(made)
    return (made.astype(np.float32) if single else made).astype(np.float64)


def log_odds(chance: float) -> float:
    """
    >>> log_odds(0.5), round(log_odds(1.0), 1)
    (0.0, 27.6)
    """
    inside = min(max(chance, _LEAST), 1.0 - _LEAST)
    return math.log(inside) - math.log1p(-inside)
