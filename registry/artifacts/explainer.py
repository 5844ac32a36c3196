"""Why a model answers as it does: what each input adds to the answer, against a background of training rows.

Exact where the answer is a sum of trees or of weighted columns; elsewhere from the answers to mixed rows, all
coalitions of few inputs or a sample of many, whose standard errors are stated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats import shapley
from registry.artifacts.additive import Space
from registry.artifacts.background import mixtures, take
from registry.artifacts.engines import Scorer, SklearnScorer
from registry.artifacts.leaves import TooDeep
from registry.artifacts.rows import Columns
from registry.artifacts.signature import Label, Signature
from registry.artifacts.sums import Sum, log_odds, take_apart

Floats = NDArray[np.float64]
Method = Literal["trees", "linear", "enumeration", "sampling"]

EXACT_CELLS = 60_000  # rows to score; up to so many, all coalitions are asked
MAX_CELLS = 400_000  # rows to score for the two pairs that a sample needs at least
MAX_PAIRS = 200
ROUNDING = 1e-6  # of a probability that was computed in single precision
TOLERANCE = 1e-6  # between the sum that was taken apart and what the model answers


class Budget(NamedTuple):
    """What a sampled explanation may take; an exact one never does."""

    pairs: int = MAX_PAIRS
    secs: float = 2.0
    tolerance: float = 0.0  # of the standard errors, in the output space
    cells: int = MAX_CELLS  # rows that may be scored before the time is looked at: less of the background is used


BUDGET = Budget()


def _answered(answer: float, total: float, space: Space) -> float:
    """What was answered, in the output space. Near nought and one the last digits of a probability are large in
    log-odds: an answer that is the sum's own but for them is taken for it."""
    if space != "log_odds":
        return answer
    own = 1.0 / (1.0 + math.exp(-total)) if total > -700 else 0.0
    return total if abs(answer - own) <= ROUNDING else log_odds(answer)


class Explanation(NamedTuple):
    """`output` = `base_value` + the sum of `contributions` + `residual`, all in the output space; `explained` is the
    class whose output it is, None of a value. `errors` are standard errors, empty unless it was sampled."""

    method: Method
    output_space: Space
    explained: Label | None
    base_value: float
    output: float
    contributions: dict[str, float]
    residual: float
    errors: dict[str, float]
    samples: int
    background: dict[str, Any]  # {"digest", "rows"}

    def to_json(self) -> dict[str, Any]:
        return self._asdict()


class Explainer:
    """A model with its background. One output of it is prepared when it is first asked for."""

    def __init__(self, scorer: Scorer, background: Columns, digest: str) -> None:
        if not background.rows:
            raise ValueError("background must have at least one row but has none")
        self.scorer, self.background = scorer, background
        self._digest = digest
        self._outputs: dict[int | None, Sum | None] = {}
        labels = scorer.signature.classes or ()
        self._positive = labels.index(scorer.signature.positive_class) if len(labels) == 2 else 0

    @property
    def signature(self) -> Signature:
        return self.scorer.signature

    def explain(self, row: Columns, *, answer: float | None = None, budget: Budget = BUDGET) -> Explanation:
        """Of one checked row: the positive class of two, the most likely of more, or the value.

        `answer` is what was answered (the score of a classifier, else the value), which the residual is about; left
        out, the model is asked again.
        """
        (output,) = self._outputs_of(row)
        part = self._sum(output)
        if part is None:
            return self._mixed(row, output, answer, budget)
        total, shares = part.explain(row)
        said = total if part.space == "raw" or answer is None else _answered(answer, total, part.space)
        return self._read(part, output, said, shares)

    def explain_all(self, rows: Columns, *, budget: Budget = BUDGET) -> list[Explanation]:
        """`explain` of each row; those that are read off one sum are prepared together."""
        found: dict[int, Explanation] = {}
        outputs = self._outputs_of(rows)
        for output in dict.fromkeys(outputs):
            places = [place for place, own in enumerate(outputs) if own == output]
            part = self._sum(output)
            if part is None:
                found |= {place: self._mixed(take(rows, [place]), output, None, budget) for place in places}
            else:
                read = zip(places, part.explain_all(take(rows, places)), strict=True)
                found |= {place: self._read(part, output, total, shares) for place, (total, shares) in read}
        return [found[place] for place in range(rows.rows)]

    def cells(self, budget: Budget) -> int:
        """Rows that the model is asked about for one explanation that is not read off it."""
        players = len(self.signature.inputs)
        if self._is_small(budget):
            return self.background.rows << players
        return budget.pairs * 2 * (players + 1) * self._sampled_against(budget)

    def _is_small(self, budget: Budget) -> bool:
        players = len(self.signature.inputs)
        most = min(EXACT_CELLS, budget.cells)
        return players <= shapley.MAX_ENUMERATED and self.background.rows << players <= most

    def _sampled_against(self, budget: Budget) -> int:
        """Background rows, fewer where there are so many inputs that two pairs would take too long."""
        return max(1, min(self.background.rows, budget.cells // (4 * len(self.signature.inputs) + 4)))

    def prepare(self) -> int:
        """Make ready what single rows need, and the memory that it takes beyond the model's own, in bytes."""
        labels = self.signature.classes or ()
        part = self._sum(self._positive if labels else None)
        return 0 if part is None else part.nbytes * (len(labels) if len(labels) > 2 else 1)

    def _outputs_of(self, rows: Columns) -> list[int | None]:
        """Which output of each row is explained."""
        labels = self.signature.classes
        if labels is None:
            return [None] * rows.rows
        if self.signature.is_binary:
            return [self._positive] * rows.rows
        return [int(best) for best in self.scorer.outputs(rows).argmax(axis=1)]

    def _sum(self, output: int | None) -> Sum | None:
        if output not in self._outputs:
            self._outputs[output] = self._taken_apart(output)
        return self._outputs[output]

    def _taken_apart(self, output: int | None) -> Sum | None:
        """The sum behind an output; None if there is none, or if it does not add up to what the model answers."""
        if not isinstance(self.scorer, SklearnScorer):
            return None
        try:
            found = take_apart(self.scorer, output, self.background)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, TooDeep):
            return None  # an estimator that is fitted in another way than known here is asked, not read
        return found if found is not None and self._adds_up(found, output) else None

    def _adds_up(self, part: Sum, output: int | None) -> bool:
        few = take(self.background, range(min(5, self.background.rows)))
        said = self._in_space(self.scorer.outputs(few), output, part.space)
        told = [part.total(take(few, [i])) for i in range(few.rows)]
        scale = TOLERANCE * max(1.0, float(np.abs(said).max()))
        return part.space == "raw" or bool((np.abs(said - told) <= scale).all())

    @staticmethod
    def _in_space(answers: Floats, output: int | None, space: Space) -> Floats:
        chosen = answers.reshape(-1) if output is None else answers[:, output]
        return np.array([log_odds(p) for p in chosen]) if space == "log_odds" else chosen

    def _mixed(self, row: Columns, output: int | None, answer: float | None, budget: Budget) -> Explanation:
        """By asking the model about rows of which some inputs are the row's and the others the background's."""
        players = len(self.signature.inputs)
        is_small = self._is_small(budget)
        rows = self.background.rows if is_small else self._sampled_against(budget)
        against = take(self.background, range(rows))

        def worth(masks: NDArray[np.bool_]) -> Floats:
            parts = np.array_split(masks, max(1, len(masks) * rows // 50_000))
            answers = [self.scorer.outputs(mixtures(row, against, part)) for part in parts if len(part)]
            chosen = [each.reshape(-1) if output is None else each[:, output] for each in answers]
            return np.asarray(np.concatenate(chosen).reshape(-1, rows).mean(axis=1), np.float64)

        if is_small:
            shares = shapley.enumerated(worth, players)
        else:
            pairs, secs, tolerance, _ = budget
            shares = shapley.sampled(worth, players, pairs=pairs, secs=secs, tolerance=tolerance)
        space: Space = "value" if output is None else "probability"
        said = answer if answer is not None else float(self.scorer.outputs(row).reshape(-1)[output or 0])
        names = self.signature.names
        errors = {} if is_small else dict(zip(names, shares.errors.tolist(), strict=True))
        method: Method = "enumeration" if is_small else "sampling"
        return self._told(method, space, output, shares.base, said, shares.values, errors, shares.pairs, rows)

    def _read(self, part: Sum, output: int | None, said: float, shares: Floats) -> Explanation:
        return self._told(part.method, part.space, output, part.base, said, shares, {}, 0, self.background.rows)

    def _told(
        self,
        method: Method,
        space: Space,
        output: int | None,
        base: float,
        said: float,
        shares: Floats,
        errors: Mapping[str, float],
        samples: int,
        rows: int,
    ) -> Explanation:
        named = dict(zip(self.signature.names, shares.tolist(), strict=True))
        label = None if output is None else (self.signature.classes or ())[output]
        residual = said - base - math.fsum(named.values())
        background = {"digest": self._digest, "rows": rows}
        return Explanation(method, space, label, base, said, named, residual, dict(errors), samples, background)
