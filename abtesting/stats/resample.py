"""Bootstrap of decision measures from counts alone: the check of the delta method, and its stand-in for few units."""

from __future__ import annotations

import numpy as np

from abtesting.stats.measures import Measure
from abtesting.stats.paired import cells_of
from mlops_site.stats.bins import Counts
from mlops_site.stats.intervals import Interval
from mlops_site.stats.scored import Floats

DRAWS = 10_000


def bootstrap_arms(measure: Measure, a: Counts, b: Counts, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Percentile interval, 95 %, of B's measure less A's, from each arm's (tp, fp, fn, tn).

    Units of one cell are alike, so drawing n of them with replacement is drawing the four counts from the multinomial:
    it costs the same for a million units as for a hundred. ValueError when the measure has no value on most draws.
    Source: Efron and Tibshirani (1993), chapter 8.
    """
    random = np.random.default_rng(seed)
    drawn = [random.multinomial(int(own.sum()), own / own.sum(), draws) for own in (a, b)]
    return _interval(measure, (a, b), (drawn[0], drawn[1]))


def bootstrap_pairs(measure: Measure, pairs: Counts, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The same for two models on the same claims, which are drawn together, from the eight counts of the pairs."""
    drawn = np.random.default_rng(seed).multinomial(int(pairs.sum()), pairs / pairs.sum(), draws)
    return _interval(measure, cells_of(pairs), cells_of(drawn))


def _interval(measure: Measure, own: tuple[Counts, Counts], drawn: tuple[Counts, Counts]) -> Interval:
    steps = _values(measure, drawn[1]) - _values(measure, drawn[0])
    usable = steps[np.isfinite(steps)]
    estimate = float(_values(measure, own[1]) - _values(measure, own[0]))
    if not np.isfinite(estimate) or 2 * len(usable) < len(steps):
        raise ValueError(f"{measure.name} must have a value on most draws but got {len(usable)} of {len(steps)}")
    lower, upper = np.quantile(usable, [0.025, 0.975])
    return Interval(estimate, float(lower), float(upper), float(usable.std(ddof=1)), draws=len(usable))


def _values(measure: Measure, cells: Counts) -> Floats:
    top, bottom = cells @ np.array(measure.top), cells @ np.array(measure.bottom)
    found: Floats = np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)
    return found
