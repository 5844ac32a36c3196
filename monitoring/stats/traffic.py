"""A model's traffic as a day of 24 hours: how many rows come, and how each feature is spread at that hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlops_site.stats.bins import CategoryBins, Counts, FeatureBins
from mlops_site.stats.profile import Profile
from mlops_site.stats.scored import Floats

HOURS = 24
GROUPS = 10  # of bins, in which the hours are compared: few enough that an hour fills them
FEWEST = 5  # rows of a group in a mean hour, below which the hours are not told apart by it
MOST_CLUSTERED = 10.0
DAYS_TOLD = 2.0  # of traffic from which the hours of a day can be told apart
USUAL_SPREAD = 0.2  # of a day's rows, where too few days are known


@dataclass(frozen=True)
class Traffic:
    """`rows` (24,) are the mean rows of each hour of the day; `spread` is the coefficient of variation of a day's rows.
    By feature: `tilts` (24, width) is what an hour multiplies the shares of the bins by, and `clustered` how many times
    the variance of independent rows its counts have (the design effect)."""

    rows: Floats
    spread: float
    tilts: Mapping[str, Floats]
    clustered: Mapping[str, float]
    days: float

    @property
    def rows_a_day(self) -> float:
        return float(self.rows.sum())


def traffic_of(reference: Profile, hours: Counts, counts: Floats, daily: Floats) -> Traffic:
    """Traffic as H hours of it show: `hours` (H,) since 1970, `counts` (H, width) on the bins of `reference`, as in
    a profile; `daily` are the rows of whole days, for their spread.

    The mix of an hour is shrunk towards the day's by the positive-part James-Stein factor max(0, 1 - df / X^2), X^2
    being the chi-square of hours against groups of bins, so that an hour of few rows has no mix of its own. What is
    left within the same hour of several days, X^2 / df at least 1, is the design effect: rows that come in clusters
    count for less. Sources: Efron and Morris (1973), JASA 68; Kish (1965), Survey Sampling, section 8.2.
    """
    days = len(np.unique(hours)) / HOURS
    first = reference.bins.slices[next(iter(reference.bins.features))]
    rows = counts[:, first].sum(axis=1)
    place = hours.astype(np.int64) % HOURS
    told = days >= DAYS_TOLD
    by_hour = _mean_by_hour(place, rows) if told else np.full(HOURS, rows.sum() / max(len(np.unique(hours)), 1))
    tilts, clustered = {}, {}
    for name, bins in reference.bins.features.items():
        own = counts[:, reference.bins.slices[name]][:, :-1]
        theirs = reference.counts_of(name)[:-1]
        groups = groups_of(theirs, bins)
        width = int(groups.max()) + 1
        table: Floats = np.stack([np.bincount(groups, weights=row, minlength=width) for row in own])
        tilt, clustered[name] = _mix(place, table) if told else (np.ones((HOURS, width)), 1.0)
        tilts[name] = tilt[:, groups]
    return Traffic(by_hour, _spread(daily), tilts, clustered, days)


def _mean_by_hour(place: Counts, rows: Floats) -> Floats:
    """Mean rows by hour of the day; an hour that was never seen has those of the day."""
    seen = np.bincount(place, minlength=HOURS)
    sums = np.bincount(place, weights=rows, minlength=HOURS)
    return np.where(seen > 0, sums / np.maximum(seen, 1), rows.mean())


def _spread(daily: Floats) -> float:
    return float(np.std(daily, ddof=1) / daily.mean()) if len(daily) >= 7 and daily.mean() > 0 else USUAL_SPREAD


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


def _mix(place: Counts, table: Floats) -> tuple[Floats, float]:
    """What the 24 hours multiply the shares of the groups by, (24, groups), and the design effect."""
    sums = np.zeros((HOURS, table.shape[1]))
    np.add.at(sums, place, table)
    overall = sums.sum(axis=0)
    if not overall.sum():
        return np.ones_like(sums), 1.0
    between, freedom = _chi_square(sums, np.broadcast_to(overall, sums.shape))
    within, left = _chi_square(table, sums[place])
    clustered = float(np.clip(within / left if left else 1.0, 1.0, MOST_CLUSTERED))
    kept = max(0.0, 1 - freedom * clustered / between) if between else 0.0
    shares = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1)
    usual = overall / overall.sum()
    tilts = np.divide(shares, usual, out=np.ones_like(shares), where=usual > 0)
    tilts[sums.sum(axis=1) == 0] = 1.0
    tilts[:, overall < FEWEST * HOURS] = 1.0
    return 1 + kept * (tilts - 1), clustered


def _chi_square(table: Floats, expected: Floats) -> tuple[float, float]:
    """Pearson's chi-square of each row against shares in proportion to `expected`, over cells that expect one at least,
    and its degrees of freedom."""
    rows = table.sum(axis=1, keepdims=True)
    shares = expected / np.maximum(expected.sum(axis=1, keepdims=True), 1)
    cells = rows * shares
    used = cells >= 1
    statistic = float(np.where(used, np.square(table - cells) / np.where(used, cells, 1), 0).sum())
    distinct = len(np.unique(expected, axis=0))
    lines = used.any(axis=1).sum()
    share_of_freedom = max(0.0, (lines - distinct) / lines) if lines else 0.0
    return statistic, float(np.maximum(used.sum(axis=1) - 1, 0).sum()) * share_of_freedom
