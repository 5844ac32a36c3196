"""A model's traffic as a day of 24 hours: how many rows come, and how each feature is spread at that hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mlops_site.stats.bins import CategoryBins, Counts, FeatureBins
from mlops_site.stats.profile import Profile
from mlops_site.stats.scored import Floats

HOURS = 24
GROUPS = 10  # of bins, in which the hours are compared: few enough that an hour fills them
FEWEST = 5  # rows of a group in a mean hour, below which the hours are not told apart by it
MOST_CLUSTERED = 10.0
FEWEST_DAYS = 7  # of whole days, from which on they tell how a day differs from another
DAYS_TOLD = 2.0  # of traffic from which the hours of a day can be told apart
USUAL_SPREAD = 0.2  # of a day's rows, where too few days are known


@dataclass(frozen=True)
class Traffic:
    """`rows` (24,) are the mean rows of each hour of the day; `spread` is the coefficient of variation of a day's rows.
    By feature: `tilts` (24, width) is what an hour multiplies the shares of the bins by, `wander` (days, width) what
    each of the days seen does, in their order, and `clustered` how many times the variance of independent rows its
    counts have (the design effect). `days` is how many days of hours were seen."""

    rows: Floats
    spread: float
    tilts: Mapping[str, Floats]
    clustered: Mapping[str, float]
    days: float
    wander: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def rows_a_day(self) -> float:
        return float(self.rows.sum())


def traffic_of(reference: Profile, hours: Counts, counts: Floats, daily: Floats) -> Traffic:
    """Traffic as it was seen: H hours, `hours` (H,) since 1970 with `counts` (H, width) on the bins of `reference`, as
    in a profile; and D whole days in their order, `daily` (D, width).

    The mix of an hour or of a day is shrunk towards the common one by the positive-part James-Stein factor
    max(0, 1 - df / X^2), X^2 being the chi-square of hours or days against groups of bins, so that one of few rows has
    no mix of its own. What is left in the hours beyond their hour and their day, X^2 / df, at least 1, is the design
    effect: rows that come in clusters count for less. Sources: Efron and Morris (1973), JASA 68; Kish (1965), Survey
    Sampling, section 8.2.
    """
    days = len(np.unique(hours)) / HOURS
    first = reference.bins.slices[next(iter(reference.bins.features))]
    rows = counts[:, first].sum(axis=1)
    told = days >= DAYS_TOLD
    by_hour = _mean_by_hour(hours % HOURS, rows) if told else np.full(HOURS, rows.sum() / max(len(np.unique(hours)), 1))
    tilts, clustered, wander = {}, {}, {}
    for name, bins in reference.bins.features.items():
        part = reference.bins.slices[name]
        groups = groups_of(reference.counts_of(name)[:-1], bins)
        own = _grouped(counts[:, part], groups)
        clustered[name] = _clustered(hours, own) if told else 1.0
        by_hours = _summed(hours % HOURS, own, HOURS)
        tilts[name] = _tilts(by_hours if told else by_hours * 0, clustered[name])[:, groups]
        if len(daily) >= FEWEST_DAYS:
            wander[name] = _tilts(_grouped(daily[:, part], groups), clustered[name])[:, groups]
    return Traffic(by_hour, _spread(daily[:, first].sum(axis=1)), tilts, clustered, days, wander)


def _grouped(counts: Floats, groups: Counts) -> Floats:
    """Counts by group, (lines, groups), from counts by bin with the unreadable ones last."""
    width = int(groups.max()) + 1
    found = [np.bincount(groups, weights=row, minlength=width) for row in counts[:, :-1]]
    return np.array(found, dtype=np.float64).reshape(len(counts), width)


def _summed(place: Counts, table: Floats, lines: int) -> Floats:
    sums = np.zeros((lines, table.shape[1]))
    np.add.at(sums, place, table)
    return sums


def _mean_by_hour(place: Counts, rows: Floats) -> Floats:
    """Mean rows by hour of the day; an hour that was never seen has those of the day."""
    seen = np.bincount(place, minlength=HOURS)
    sums = np.bincount(place, weights=rows, minlength=HOURS)
    return np.where(seen > 0, sums / np.maximum(seen, 1), rows.mean())


def _spread(daily: Floats) -> float:
    return (
        float(np.std(daily, ddof=1) / daily.mean()) if len(daily) >= FEWEST_DAYS and daily.mean() > 0 else USUAL_SPREAD
    )


def groups_of(theirs: Counts, bins: FeatureBins) -> Counts:
    """Which of up to ten groups each bin belongs to: the most frequent levels and the rest, or, of a number, tenths of
    the reference's rows."""
    if isinstance(bins, CategoryBins):
        order = np.argsort(-theirs, kind="stable")
        groups = np.empty(len(theirs), dtype=np.int64)
        groups[order] = np.minimum(np.arange(len(theirs)), GROUPS - 1)
        return groups
    total = max(int(theirs.sum()), 1)
    groups = np.unique((np.cumsum(theirs) - theirs) * GROUPS // total, return_inverse=True)[1]
    return np.asarray(groups, dtype=np.int64)


def _clustered(hours: Counts, table: Floats) -> float:
    """The design effect of hours, (H, groups), beyond what their hour of the day and their day explain."""
    days = np.unique(hours // HOURS, return_inverse=True)[1]
    by_hour, by_day = _summed(hours % HOURS, table, HOURS), _summed(days, table, int(days.max()) + 1)
    overall = table.sum(axis=0)
    shares = _shares(by_hour)[hours % HOURS] * _shares(by_day)[days]
    expected = np.divide(shares, _shares(overall[None]), out=np.zeros_like(shares), where=overall > 0)
    statistic, freedom = _chi_square(table, _shares(expected))
    used = (table.sum(axis=1) > 0).sum()
    left = freedom * max(0.0, used - HOURS - len(by_day)) / max(used, 1)
    return float(np.clip(statistic / left if left else 1.0, 1.0, MOST_CLUSTERED))


def _tilts(sums: Floats, clustered: float) -> Floats:
    """What each line, of (lines, groups), multiplies the shares of the groups by."""
    overall = sums.sum(axis=0)
    if not overall.sum():
        return np.ones_like(sums)
    usual = _shares(overall[None])
    statistic, freedom = _chi_square(sums, np.repeat(usual, len(sums), axis=0))
    kept = max(0.0, 1 - freedom * clustered / statistic) if statistic else 0.0
    tilts = np.divide(_shares(sums), usual, out=np.ones_like(sums), where=usual > 0)
    tilts[sums.sum(axis=1) == 0] = 1.0
    tilts[:, overall < FEWEST * len(sums)] = 1.0
    return np.asarray(1 + kept * (tilts - 1), dtype=np.float64)


def _shares(counts: Floats) -> Floats:
    total = counts.sum(axis=1, keepdims=True)
    found: Floats = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    return found


def _chi_square(table: Floats, shares: Floats) -> tuple[float, float]:
    """Pearson's chi-square of each line against its shares, over cells that expect one at least, and its degrees of
    freedom where the shares are given."""
    cells = table.sum(axis=1, keepdims=True) * shares
    used = cells >= 1
    statistic = float(np.where(used, np.square(table - cells) / np.where(used, cells, 1), 0).sum())
    return statistic, float(np.maximum(used.sum(axis=1) - 1, 0).sum())
