"""Experiments by the thousand, drawn as counts and judged by the code that judges the real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.inference import compare_arms, compare_pairs
from abtesting.stats.measures import Costs, measures
from abtesting.stats.paired import cells_of
from abtesting.stats.pairs import PairTally
from abtesting.stats.tally import ArmTally, Shape
from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments
from mlops_site.stats.scored import Floats
from monitoring.stats.tally import Tally

SHAPE = Shape("classification", (0, 1), 1)
KNOWN = measures(SHAPE, paired=False, costs=Costs(1.0, 10.0))
RARE = 0.05  # positive claims

Compared = Comparison | Unknown


class World(NamedTuple):
    """A kind of experiment: what is decided on, B's share (None: paired shadow), and labelled claims a look. `pairs`
    are the shares of the eight cells, from which arms are drawn as well."""

    name: str
    metric: str
    share_b: float | None
    step: int
    pairs: Floats


def pairs_with(positive: tuple[float, ...], negative: tuple[float, ...], prevalence: float) -> Floats:
    """Shares of the eight cells from P(both, only A, only B, neither says yes) of positives and of negatives."""
    cells = np.zeros(8)
    cells[[7, 5, 3, 1]] = prevalence * np.array(positive)
    cells[[6, 4, 2, 0]] = (1 - prevalence) * np.array(negative)
    return cells


QUIET = (0.04, 0.02, 0.02, 0.92)  # what both say of negatives
ALIKE = pairs_with((0.70, 0.10, 0.10, 0.10), QUIET, RARE)  # recall .80 of both
OFTEN = pairs_with((0.70, 0.10, 0.10, 0.10), QUIET, 0.30)

NO_DIFFERENCE = (
    World("A/B 50/50, accuracy", "accuracy", 0.5, 500, OFTEN),
    World("A/B 50/50, f1 score", "f1_score", 0.5, 500, OFTEN),
    World("A/B 50/50, cost", "cost", 0.5, 500, OFTEN),
    World("A/B 50/50, mean of a skewed sum", "outcome", 0.5, 500, OFTEN),
    World("A/B 10 %, recall at 5 % prevalence", "recall", 0.1, 2_000, ALIKE),
    World("paired shadow, recall at 5 % prevalence", "recall", None, 500, ALIKE),
    World("paired shadow, f1 score at 5 % prevalence", "f1_score", None, 500, ALIKE),
)


def losing(disagreement: float) -> Floats:
    """Recall .80 of A and .75 of B; that share of the positives is found by exactly one of them."""
    only_b = (disagreement - 0.05) / 2
    return pairs_with((0.75 - only_b, only_b + 0.05, only_b, 0.20 - only_b), QUIET, RARE)


def arm_of(cells: Counts, outcome: Moments | None = None) -> ArmTally:
    """An arm whose judged answers are (tp, fp, fn, tn)."""
    tp, fp, fn, tn = cells.tolist()
    n, empty = tp + fp + fn + tn, Tally.empty(SHAPE)
    counts = empty.counts.copy()
    counts[SHAPE.slices["totals"]] = [n, 0, n, n, tp + tn]
    counts[SHAPE.slices["confusion"]] = [tn, fp, fn, tp]
    return ArmTally(Tally(SHAPE, counts, empty.sums, empty.moments), alerts=tp + fp, outcome=outcome or Moments())


def pairs_of(cells: Counts) -> PairTally:
    n = int(cells.sum())
    return replace(PairTally.empty(SHAPE), totals=np.array([n, n, 0, 0]), cells=cells)


def looks(world: World, rng: np.random.Generator, count: int, tuned_at: int) -> Iterator[Compared]:
    """One experiment without a difference, looked at `count` times while its labels arrive."""
    measure = KNOWN[world.metric]
    if world.share_b is None:
        for cells in np.cumsum(rng.multinomial(world.step, world.pairs, count), axis=0):
            yield compare_pairs(measure, pairs_of(cells), tuned_at=tuned_at)
        return
    own = cells_of(world.pairs)
    # B's share of the labels is drawn too, as in life.
    to_b = rng.binomial(world.step, world.share_b, count)
    sides = [np.cumsum(rng.multinomial(n, cells), axis=0) for n, cells in ((world.step - to_b, own[0]), (to_b, own[1]))]
    paid = [_running(rng, n) if world.metric == "outcome" else [None] * count for n in (world.step - to_b, to_b)]
    for a, b, paid_a, paid_b in zip(*sides, *paid, strict=True):
        yield compare_arms(measure, arm_of(a, paid_a), arm_of(b, paid_b), tuned_at=tuned_at)


def _running(rng: np.random.Generator, steps: Counts) -> list[Moments]:
    """Moments after each step of sums paid, of which the top tenth is nearly half."""
    found, total = [], Moments()
    for n in steps.tolist():
        total = total + Moments.of(rng.lognormal(6, 1, n).round(2))
        found.append(total)
    return found


def compared(world: World, n: int, draws: int, rng: np.random.Generator) -> Iterator[Compared]:
    """Experiments with n labelled claims each, looked at once, at the end."""
    measure = KNOWN[world.metric]
    if world.share_b is None:
        for cells in rng.multinomial(n, world.pairs, draws):
            yield compare_pairs(measure, pairs_of(cells), tuned_at=n)
        return
    n_b = round(n * world.share_b)
    own = cells_of(world.pairs)
    for a, b in zip(rng.multinomial(n - n_b, own[0], draws), rng.multinomial(n_b, own[1], draws), strict=True):
        yield compare_arms(measure, arm_of(a), arm_of(b), tuned_at=n)


def true_difference(world: World) -> float:
    measure = KNOWN[world.metric]
    a, b = (float(cells @ measure.top / (cells @ measure.bottom)) for cells in cells_of(world.pairs))
    return b - a


def share(hits: int, of: int) -> str:
    return f"{hits / of:.2%}"


def counted(found: Iterator[Compared], said: Callable[[Comparison], bool]) -> tuple[int, int]:
    """Of the comparisons that have an answer, those of which `said` holds; and how many there are."""
    known = [said(each) for each in found if isinstance(each, Comparison)]
    return sum(known), len(known)
