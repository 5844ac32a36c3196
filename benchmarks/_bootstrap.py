"""Coverage of the bootstrap of pairs: shadow tests of one epoch and of two, judged by the code that judges the real
ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from abtesting.stats.blocks import BLOCKS, Blocks
from abtesting.stats.comparison import Comparison, over_epochs
from abtesting.stats.inference import compare_pairs
from abtesting.stats.measures import measures
from abtesting.stats.pairs import PairTally, Shape
from abtesting.stats.resample import drawn_together, pooled
from benchmarks._experiments import KNOWN, QUIET, pairs_with
from mlops_site.stats.exact import Moments
from mlops_site.stats.scored import Floats
from tests.abtesting.stats.arms import BINARY, pairs_of

DRAWS = 2_000  # as results are drawn
SAME = 0.6  # share of the claims on which both err alike
MEASURES = {**measures(Shape("regression"), paired=True), **KNOWN}

Errors = tuple[Floats, Floats]


class Case(NamedTuple):
    """A metric, the claims of each epoch, and how many claims each unit has."""

    metric: str
    epochs: tuple[int, ...]
    each: int = 1

    @property
    def is_of_counts(self) -> bool:
        return self.metric == "recall"

    @property
    def name(self) -> str:
        claims = " and ".join(f"{n:,}" for n in self.epochs)
        return f"{self.metric}, {claims} claims" + (f", {self.each} of each unit" if self.each > 1 else "")


CASES = (
    Case("brier", (4_000,)),
    Case("mae", (4_000,)),
    Case("rmse", (4_000,)),
    Case("brier", (2_500, 1_500)),
    Case("mae", (2_500, 1_500)),
    Case("recall", (5_000, 3_000)),
    Case("mae", (4_000,), each=5),
)


class Hits(NamedTuple):
    """Experiments in which the truth lay in the bootstrap's interval, and in the fixed one beside it."""

    bootstrap: int
    fixed: int


def covered(seed: int, number: int, start: int, draws: int) -> Hits:
    case, bootstrap, fixed = CASES[number], 0, 0
    measure, truth = MEASURES[case.metric], true_difference(case.metric)
    for draw in range(start, start + draws):
        rng = np.random.default_rng([seed, 6, number, draw])
        parts = [_pairs(case, epoch, n, rng) for epoch, n in enumerate(case.epochs)]
        found = [compare_pairs(measure, part) for part in parts]
        known = [each for each in found if isinstance(each, Comparison)]
        assert len(known) == len(parts)
        drawn = [drawn_together(measure, part, draws=DRAWS, seed=seed) for seed, part in enumerate(parts)]
        own = pooled(measure, drawn, [each.se for each in known])
        low, high = over_epochs(known).ci95
        bootstrap += own.lower <= truth <= own.upper
        fixed += low <= truth <= high
    return Hits(bootstrap, fixed)


def true_difference(metric: str) -> float:
    """Of what `_errors` draws; an epoch is harder than the other for both alike."""
    if metric == "recall":
        return -0.05
    if metric == "brier":  # (1 - u) ** 2 of Beta(p, q): q (q + 1) / ((p + q) (p + q + 1))
        of_a, of_b = (q * (q + 1) / ((p + q) * (p + q + 1)) for p, q in ((4.0, 2.0), (4.5, 2.0)))
    elif metric == "mae":
        of_a, of_b = 1.5 * 10.0, 1.5 * 9.5
    else:
        of_a, of_b = 2 * 3 * 5.0**2, 2 * 3 * 4.7**2
        return float(np.sqrt(SAME * of_a + (1 - SAME) * of_b) - np.sqrt(of_a))
    return (1 - SAME) * (of_b - of_a)


def _pairs(case: Case, epoch: int, n: int, rng: np.random.Generator) -> PairTally:
    if case.is_of_counts:
        shares = pairs_with((0.70, 0.10, 0.05, 0.15), QUIET, (0.05, 0.15)[epoch])
        return pairs_of(rng.multinomial(n, shares))
    units = n // case.each
    a, b = (np.repeat(own, case.each) for own in _errors(case.metric, units, rng))
    block = np.repeat(rng.integers(0, BLOCKS, units), case.each)
    if case.metric == "mae":  # an epoch is harder than the other for both alike
        a, b = a + 20 * epoch, b + 20 * epoch
    if case.each > 1:  # what claims of one unit have of their own
        a, b = (own * rng.uniform(0.8, 1.2, n) for own in (a, b))
    errors = {f"{case.metric}_a": a, f"{case.metric}_b": b}
    moments = {**{name: Moments.of(own) for name, own in errors.items()}, case.metric: Moments.of(b - a)}
    counts = np.array([n, n, 0, 0])
    cells = np.array([0, n, 0, 0, 0, 0, 0, 0])  # so that all are judged
    shape = BINARY if case.metric == "brier" else Shape("regression")
    more = {"mae": moments[case.metric]}  # what counts the judged claims of values
    return PairTally(shape, counts, cells, {**more, **moments}, Blocks.of(block, errors))


def _errors(metric: str, n: int, rng: np.random.Generator) -> Errors:
    """Of A and of B, which errs as A does on SAME of the claims: skewed, as costs of claims are."""
    draw: dict[str, tuple[Callable[[], Floats], Callable[[], Floats]]] = {
        "brier": (lambda: (1 - rng.beta(4.0, 2.0, n)) ** 2, lambda: (1 - rng.beta(4.5, 2.0, n)) ** 2),
        "mae": (lambda: rng.gamma(1.5, 10.0, n), lambda: rng.gamma(1.5, 9.5, n)),
        "rmse": (lambda: rng.gamma(2.0, 5.0, n) ** 2, lambda: rng.gamma(2.0, 4.7, n) ** 2),
    }
    of_a, of_b = (own() for own in draw[metric])
    return of_a, np.where(rng.random(n) < SAME, of_a, of_b)
