"""Bootstrap from small sums: of decision measures from counts alone, the check of the delta method and its stand-in for
few units; of means of errors from blocks of units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from abtesting.stats.blocks import Blocks
from abtesting.stats.measures import Measure
from abtesting.stats.paired import cells_of
from abtesting.stats.pairs import PairTally
from mlops_site.stats.bins import Counts
from mlops_site.stats.intervals import Interval
from mlops_site.stats.scored import Floats

DRAWS = 10_000
LEAST_BLOCKS = 10  # with judged units: the spread of fewer says little


class Drawn(NamedTuple):
    """B's measure less A's in one epoch: what it is, and in each draw, shape (draws,), NaN where it has no value.
    `blocks` were drawn, 0 where units were."""

    estimate: float
    steps: Floats
    blocks: int = 0


def bootstrap_arms(measure: Measure, a: Counts, b: Counts, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Percentile interval, 95 %, of B's measure less A's, from each arm's (tp, fp, fn, tn). ValueError as `pooled`."""
    return pooled(measure, [drawn_arms(measure, a, b, draws=draws, seed=seed)], [1.0])


def bootstrap_pairs(measure: Measure, pairs: Counts, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The same for two models on the same claims, from the eight counts of the pairs."""
    return pooled(measure, [drawn_pairs(measure, pairs, draws=draws, seed=seed)], [1.0])


def drawn_arms(measure: Measure, a: Counts, b: Counts, *, draws: int = DRAWS, seed: int = 0) -> Drawn:
    """Units of one cell are alike, so drawing n of them with replacement is drawing the four counts from the
    multinomial: it costs the same for a million units as for a hundred. Source: Efron and Tibshirani (1993), chapter 8.
    """
    random = np.random.default_rng(seed)
    drawn = [random.multinomial(int(own.sum()), own / own.sum(), draws) for own in (a, b)]
    return _drawn(measure, (a, b), (drawn[0], drawn[1]))


def drawn_pairs(measure: Measure, pairs: Counts, *, draws: int = DRAWS, seed: int = 0) -> Drawn:
    """Two models on the same claims, which are drawn together."""
    drawn = np.random.default_rng(seed).multinomial(int(pairs.sum()), pairs / pairs.sum(), draws)
    return _drawn(measure, cells_of(pairs), cells_of(drawn))


def drawn_blocks(measure: Measure, blocks: Blocks, *, draws: int = DRAWS, seed: int = 0) -> Drawn:
    """The mean errors (rmse: the roots of the mean squares) of two models on the same claims, from their sums in blocks
    of units, which are drawn with all that is in them: claims of one unit are drawn together, so that the interval
    holds as well where they are alike. ValueError for judged units in fewer than 10 blocks.

    Sources: Efron and Tibshirani (1993), section 8.5; Davison and Hinkley (1997), section 3.8.
    """
    used = blocks.counts > 0
    size = int(used.sum())
    if size < LEAST_BLOCKS:
        raise ValueError(f"judged units must be in at least {LEAST_BLOCKS} blocks but got {size}")
    sides = [blocks.sums[f"{measure.name}{side}"].floats()[used] for side in ("_a", "_b")]
    weights, counts = _weights(size, draws, seed), blocks.counts[used].astype(np.float64)
    means = [np.stack([weights @ own, weights @ counts]) for own in sides]
    own = [np.array([part.sum(), counts.sum()]) for part in sides]
    estimate, steps = (_mean(measure, each[1]) - _mean(measure, each[0]) for each in (own, means))
    return Drawn(float(estimate), steps, size)


def drawn_together(measure: Measure, pairs: PairTally, *, draws: int = DRAWS, seed: int = 0) -> Drawn:
    """Two models on the same claims, by whatever the measure is of. ValueError where that cannot be drawn."""
    if measure.kind in ("share", "cost"):
        return drawn_pairs(measure, pairs.cells, draws=draws, seed=seed)
    if pairs.blocks is None:
        raise ValueError(f"{measure.name} must have blocks but its pairs are not all in blocks")
    return drawn_blocks(measure, pairs.blocks, draws=draws, seed=seed)


def pooled(measure: Measure, epochs: Sequence[Drawn], errors: Sequence[float]) -> Interval:
    """Percentile interval, 95 %, of the weighted difference over epochs, each of which is drawn by itself (stratified)
    and keeps the weight that its comparison has, the inverse of its standard error squared. Of blocks the percentiles
    stand as far apart as Student's t asks for so few of them.

    ValueError when the measure has no value on most draws. Source: Hesterberg (2015), The American Statistician 69,
    section 5.4 (expanded percentiles).
    """
    weights = np.square(min(errors) / np.array(errors))
    shares = weights / weights.sum()
    estimate = float(shares @ np.array([each.estimate for each in epochs]))
    steps = shares @ np.stack([each.steps for each in epochs])
    usable = steps[np.isfinite(steps)]
    if not np.isfinite(estimate) or 2 * len(usable) < len(steps):
        raise ValueError(f"{measure.name} must have a value on most draws but got {len(usable)} of {len(steps)}")
    tail = _tail(sum(each.blocks for each in epochs), len(epochs))
    lower, upper = np.quantile(usable, [tail, 1 - tail])
    return Interval(estimate, float(lower), float(upper), float(usable.std(ddof=1)), draws=len(usable))


def _tail(blocks: int, epochs: int) -> float:
    """Outside each end of the interval."""
    if not blocks:
        return 0.025
    freedom = blocks - epochs
    reach = math.sqrt(blocks / freedom) * float(scipy.special.stdtrit(freedom, 0.975))
    return float(scipy.special.ndtr(-reach))


@lru_cache(maxsize=16)
def _weights(size: int, draws: int, seed: int) -> Floats:
    """How often each of `size` blocks is drawn, shape (draws, size)."""
    return np.random.default_rng([seed, size]).multinomial(size, np.full(size, 1 / size), draws).astype(np.float64)


def _mean(measure: Measure, parts: Floats) -> Floats:
    """Of sums and counts, shape (2, ...)."""
    mean: Floats = parts[0] / parts[1]
    return np.sqrt(mean) if measure.name == "rmse" else mean


def _drawn(measure: Measure, own: tuple[Counts, Counts], drawn: tuple[Counts, Counts]) -> Drawn:
    estimate = float(_values(measure, own[1]) - _values(measure, own[0]))
    return Drawn(estimate, _values(measure, drawn[1]) - _values(measure, drawn[0]))


def _values(measure: Measure, cells: Counts) -> Floats:
    top, bottom = cells @ np.array(measure.top), cells @ np.array(measure.bottom)
    found: Floats = np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)
    return found
