"""How many predictions an hour should bring, from the weeks before it: a robust pattern and how far sums stray from it.

Times are in UTC. Where clocks change, the pattern moves by an hour: a judge takes the kindest of three hours (`low` and
`high`), and the pattern has followed in some weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import scipy  # loads its parts at their first use

from mlops_site.stats.scored import Floats

Pattern = Literal["hour of week", "hour of day", "flat"]

WEEK, DAY = 168, 24
WEEKS = 8  # of history that are looked at
PERIODS: tuple[tuple[Pattern, int, int], ...] = (  # what may be known after so many known hours
    ("hour of week", WEEK, 3 * WEEK),
    ("hour of day", DAY, WEEK),
    ("flat", 1, DAY),
)
STRAY = 0.9  # of the blocks of history lie within what the dispersion says of them: outages of a few days do not count
_SQUARE = 2.7055  # 0.9 quantile of chi-square with one degree of freedom
FEWEST_BLOCKS, LEAST_EXPECTED = 20, 5.0
PRIOR = 200.0  # predictions that the last week is weighed against, so that few do not move the pattern
LEVELS = (0.5, 2.0)  # how far the last week may move the pattern: a silence must not become what is expected


@dataclass(frozen=True, eq=False)
class Baseline:
    """What n hours of history say of the hours that follow. `fitted` is what each hour of the history would have been
    expected to bring without its own week, `level` how the last week was to the pattern."""

    pattern: Pattern
    history: Floats  # shape (n,), NaN where it is not known
    cells: Floats  # expected by place in the period, the first hour after the history first
    fitted: Floats  # shape (n,)
    level: float
    _dispersions: dict[int, float]

    def expected(self, first: int, count: int, *, shift: int = 0) -> Floats:
        """Of `count` hours from `first` hours after the history on, shape (count,)."""
        places = (np.arange(first, first + count) + shift) % len(self.cells)
        return self.cells[places] * self.level

    def bounds(self, first: int, count: int) -> tuple[float, float]:
        """The least and the most that the hours together should bring, with clocks an hour off either way."""
        sums = [float(self.expected(first, count, shift=shift).sum()) for shift in (-1, 0, 1)]
        return min(sums), max(sums)

    def dispersion(self, hours: int) -> float:
        """tau: the variance of a sum of so many hours that is expected to be m is m + (tau m)^2.

        Not Poisson's, which real traffic exceeds. It is measured on the history's sums of as many hours, so that what
        hours have in common is in it; from the longest of which there are 20 where the history is too short.
        """
        if hours not in self._dispersions:
            self._dispersions[hours] = self._measured(hours)
        return self._dispersions[hours]

    def _measured(self, hours: int) -> float:
        for length in _lengths(hours, len(self.history)):
            sums, means = (_moving(values, length) for values in (self.history, self.fitted))
            known = ~np.isnan(sums) & ~np.isnan(means) & (means >= LEAST_EXPECTED)
            if known.sum() >= FEWEST_BLOCKS:
                squares = (np.square(sums[known] - means[known]) / _SQUARE - means[known]) / np.square(means[known])
                return float(np.sqrt(max(0.0, np.quantile(squares, STRAY))))
        return 0.0

    @cached_property
    def days(self) -> int:
        """Days of history that are known."""
        return int((~np.isnan(self.history)).sum()) // DAY


def baseline(history: Floats) -> Baseline | None:
    """The baseline of the hours after `history`, shape (n,), NaN where nothing is known of an hour; of the last 8 weeks
    of it. None while less than a day is known."""
    hours = _since_the_first(history[-WEEKS * WEEK :])
    known = int((~np.isnan(hours)).sum())
    for pattern, period, needed in PERIODS:
        if known >= needed and len(hours) >= needed:
            return _fit(pattern, period, hours)
    return None


def _since_the_first(hours: Floats) -> Floats:
    """From the first hour with a prediction on: before it nobody asked."""
    asked = np.flatnonzero(np.nan_to_num(hours) > 0)
    return hours[asked[0] :] if len(asked) else hours[:0]


def _fit(pattern: Pattern, period: int, hours: Floats) -> Baseline:
    rows = _by_period(hours, period)
    cells = _centre(rows)
    without = np.array([_centre(np.delete(rows, i, axis=0)) for i in range(len(rows))]) if period > 1 else None
    fitted = (np.broadcast_to(cells, rows.shape) if without is None else without).ravel()[-len(hours) :]
    levels = _levels(hours, fitted)
    level = 1.0 if levels is None else float(levels[-1])
    moved = fitted if levels is None else fitted * levels[:-1]
    return Baseline(pattern, hours, cells, moved, level, {})


def _by_period(hours: Floats, period: int) -> Floats:
    """Rows of one period, shape (periods, period), that end with the history; what is missing of the first is NaN."""
    missing = -len(hours) % period
    return np.concatenate([np.full(missing, np.nan), hours]).reshape(-1, period)


def _centre(rows: Floats) -> Floats:
    """The middle of each column, scaled so that whole rows come out right: the middle of few small counts is too small.

    It is the mean of the middle half (of three and fewer, the median), which an outage of a quarter of the weeks does
    not move.
    """
    cells = _middle(rows)
    known = ~np.isnan(rows)
    totals = np.where(known, rows, cells).sum(axis=1)[known.mean(axis=1) > 0.5]
    whole, total = float(_middle(totals[:, None])[0]) if len(totals) else 0.0, float(cells.sum())
    if whole <= 0:
        return cells
    return cells * (whole / total) if total > 0 else np.full(len(cells), whole / len(cells))


def _middle(rows: Floats) -> Floats:
    """Mean of the middle half of each column's known values, weighted at its ends; 0 where none is known."""
    ordered = np.sort(rows, axis=0)  # NaN last
    counts = (~np.isnan(rows)).sum(axis=0)
    cut = np.where(counts > 3, counts / 4, np.maximum(counts - 1, 0) / 2)
    places = np.arange(len(rows))[:, None]
    weights = np.clip(np.minimum(places + 1 - cut, counts - cut - places), 0.0, 1.0)
    sums = np.nansum(ordered * weights, axis=0)
    return np.asarray(sums / np.maximum(weights.sum(axis=0), 1e-9) * (counts > 0))


def _levels(hours: Floats, fitted: Floats) -> Floats | None:
    """By hour, and of the hour after the last: the median of the last seven days, each to what was expected of it, as
    far as they have predictions enough to say. None with less than two weeks."""
    if len(hours) < 2 * WEEK:
        return None
    sums, means = _moving(hours, DAY), _moving(fitted, DAY)  # ending at hour 23, 24, ...
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.where(means > 0, sums / means, np.nan)
    found = np.ones(len(hours) + 1)
    at = np.arange(WEEK, len(hours) + 1)
    days = np.stack([ratios[at - DAY * back - DAY] for back in range(7)])
    known, week = ~np.isnan(days).any(axis=0), _moving(fitted, WEEK)
    middle = np.clip(np.median(days[:, known], axis=0), *LEVELS)
    found[at[known]] = (middle * week[known] + PRIOR) / (week[known] + PRIOR)
    return found


def _moving(values: Floats, length: int) -> Floats:
    """Sums of each `length` that follow one another, shape (n - length + 1,), NaN where one is."""
    reached = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values))])
    gaps = np.concatenate([[0], np.cumsum(np.isnan(values))])
    sums = reached[length:] - reached[:-length]
    return np.where(gaps[length:] > gaps[:-length], np.nan, sums)


def _lengths(hours: int, known: int) -> list[int]:
    """What to measure on: the length itself, else shorter ones, else (too little in each) longer ones."""
    most = max(1, known - FEWEST_BLOCKS)
    shorter = [length for length in (WEEK, 72, DAY, 6, 3, 1) if length < hours]
    longer = [length for length in (3, 6, DAY, 72, WEEK) if length > hours]
    return [length for length in (hours, *shorter, *longer) if length <= most]


def at_most(count: float, mean: float, tau: float) -> float:
    """P(X <= count) of a negative binomial of this mean and variance mean + (tau mean)^2; Poisson's where tau is 0.

    >>> round(at_most(0, 3.0, 0.0), 4), round(at_most(0, 3.0, 1.0), 4)
    (0.0498, 0.25)
    """
    if mean <= 0:
        return 1.0
    if tau <= 1e-6:
        return float(scipy.special.gammaincc(np.floor(count) + 1, mean))
    shape = 1 / tau**2
    return float(scipy.special.betainc(shape, np.floor(count) + 1, shape / (shape + mean)))


def at_least(count: float, mean: float, tau: float) -> float:
    """P(X >= count) of the same."""
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if tau <= 1e-6:
        return float(scipy.special.gammainc(np.ceil(count), mean))
    shape = 1 / tau**2
    return float(scipy.special.betainc(np.ceil(count), shape, mean / (shape + mean)))


def interval(means: Floats, tau: float, *, level: float = 0.99) -> tuple[Floats, Floats]:
    """Between which counts `level` of the sums of these means lie, shape (n,) each."""
    sure = np.maximum(means, 1e-9)
    if tau <= 1e-6:
        low, high = scipy.stats.poisson.interval(level, sure)
    else:
        shape = 1 / tau**2
        low, high = scipy.stats.nbinom.interval(level, shape, shape / (shape + sure))
    return np.maximum(low, 0.0), np.where(means > 0, high, 0.0)
