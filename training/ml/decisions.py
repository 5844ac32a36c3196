"""From scores to decisions between two classes: the cut by F1, by what mistakes cost, or by what can be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

OUTCOMES = ("true_positive", "false_positive", "false_negative", "true_negative")


@dataclass(frozen=True, slots=True)
class Rule:
    """How a threshold is chosen. Without costs and share it is the best F1; `costs` per row by outcome are made least;
    at most `share` of the rows are positive, with a share alone as many as that."""

    costs: Mapping[str, float] | None = None
    share: float | None = None

    @classmethod
    def of(cls, cost_matrix: Mapping[str, float] | None, capacity: Mapping[str, float] | None) -> Rule:
        """From a run's `cost_matrix` and `capacity`, {"at_most", "of_rows"}.

        >>> Rule.of(None, {"at_most": 200, "of_rows": 5000}).share
        0.04
        """
        costs = None if cost_matrix is None else {name: float(cost_matrix.get(name, 0.0)) for name in OUTCOMES}
        return cls(costs, None if capacity is None else min(1.0, capacity["at_most"] / capacity["of_rows"]))

    def threshold(self, score: ArrayLike, positive: ArrayLike) -> float:
        """The cut on n scores, half-way between two of them: a row is positive from it on.

        >>> Rule(share=0.5).threshold([0.1, 0.2, 0.6, 0.8], [False, False, True, True])
        0.4
        """
        scores, truth = np.asarray(score, np.float64), np.asarray(positive, bool)
        order = np.argsort(-scores, kind="stable")
        ordered, hits = scores[order], np.concatenate([[0], truth[order].cumsum()])
        taken = np.arange(len(scores) + 1)
        # Rows of one score are decided alike.
        apart = np.concatenate([[True], np.diff(ordered) != 0, [True]])
        if self.costs is None and self.share is None:
            if not truth.any():
                return 0.5
            apart[0] = False  # of no row F1 says nothing
        allowed = apart if self.share is None else apart & (taken <= self.share * len(scores) + 1e-9)
        at = int(np.where(allowed, self._worth(taken, hits, int(truth.sum())), -np.inf).argmax())
        return _between(ordered, at)

    def _worth(self, taken: NDArray[Any], hits: NDArray[Any], positives: int) -> NDArray[np.float64]:
        if self.costs is not None:
            missed, rest = positives - hits, len(taken) - 1 - taken
            return np.asarray(-_cost(self.costs, hits, taken - hits, missed, rest - missed), np.float64)
        if self.share is not None:
            return taken.astype(np.float64)
        return np.asarray(2.0 * hits / (taken + positives), np.float64)

    def told(self, score: ArrayLike, positive: ArrayLike, threshold: float) -> dict[str, Any]:
        """What the threshold means for n rows, ready for JSON: the share that is positive, and the cost of a row."""
        chosen, truth = np.asarray(score, np.float64) >= threshold, np.asarray(positive, bool)
        told: dict[str, Any] = {"threshold": threshold, "positive_share": float(chosen.mean())}
        if self.share is not None:
            told["capacity_share"] = self.share
        if self.costs is not None:
            counts = (chosen & truth, chosen & ~truth, ~chosen & truth, ~chosen & ~truth)
            told["costs"] = dict(self.costs)
            told["cost_per_row"] = float(_cost(self.costs, *(count.mean() for count in counts)))
        return told


BEST_F1 = Rule()


def _cost(costs: Mapping[str, float], *counts: Any) -> Any:
    return sum(costs[name] * count for name, count in zip(OUTCOMES, counts, strict=True))


def _between(ordered: NDArray[np.float64], taken: int) -> float:
    # A cut on a score itself would turn on the last bit, which differs between scikit-learn and ONNX.
    above = ordered[taken - 1] if taken else 1.0  # of a probability there is no cut that a certain row does not pass
    below = ordered[taken] if taken < len(ordered) else 0.0
    return float((above + below) / 2)
