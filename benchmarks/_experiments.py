"""Experiments by the thousand, drawn as counts and judged by the code that judges the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.inference import compare_arms, compare_pairs
from abtesting.stats.measures import Costs, measures
from abtesting.stats.paired import cells_of
from abtesting.stats.srm import SampleRatio, sample_ratio
from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments
from mlops_site.stats.scored import Floats
from tests.abtesting.stats.arms import BINARY, arm_of, pairs_of

KNOWN = measures(BINARY, paired=False, costs=Costs(1.0, 10.0))
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
    paid = [_running(rng, n) if world.metric == "outcome" else [Moments()] * count for n in (world.step - to_b, to_b)]
    for a, b, paid_a, paid_b in zip(*sides, *paid, strict=True):
        yield compare_arms(measure, arm_of(a, outcome=paid_a), arm_of(b, outcome=paid_b), tuned_at=tuned_at)


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


def kept(n: int, b: int, share_b: float) -> SampleRatio:
    return sample_ratio(n - b, b, share_b)


def chance_blocked(n: int, share_b: float) -> float:
    """Of a sound split at one look: the chance of all counts that are blocked."""
    reach = 10 * float(np.sqrt(n * share_b * (1 - share_b))) + 10
    counts = np.arange(max(0, int(n * share_b - reach)), min(n, int(n * share_b + reach)) + 1)
    blocked = [b for b in counts.tolist() if not kept(n, b, share_b).ok]
    return float(np.sum(stats.binom.pmf(blocked, n, share_b)))


def watched(rng: np.random.Generator, share_b: float, count: int, step: int) -> tuple[bool, bool]:
    """Whether a sound split is ever blocked, and ever proven wrong. Looks within three deviations are neither."""
    b, n = np.cumsum(rng.binomial(step, share_b, count)), step * np.arange(1, count + 1)
    far = np.abs(b - n * share_b) > 3 * np.sqrt(n * share_b * (1 - share_b))
    seen = [kept(int(total), int(own), share_b) for total, own in zip(n[far], b[far], strict=True)]
    return any(not each.ok for each in seen), any(each.proven for each in seen)
