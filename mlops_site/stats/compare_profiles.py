"""Drift of a window's profile against a reference profile: sums only, never rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mlops_site.stats.bins import CategoryBins, Counts, NumericBins
from mlops_site.stats.distances import Distances, binned_wasserstein, jensen_shannon, total_variation
from mlops_site.stats.effects import Difference, chi_square_difference, ks_difference
from mlops_site.stats.judge import (
    Q_LIMIT,
    Drift,
    Extra,
    Finding,
    judge,
    left_out,
    not_computable,
    notes,
    too_few,
    unreadable,
)
from mlops_site.stats.profile import Profile, check_same_bins

_PSI_BINS = 10


def profile_drift(
    current: Profile,
    reference: Profile,
    *,
    threshold: float = 0.1,
    importance: Mapping[str, float] | None = None,
    min_samples: int = 1,
    q_limit: float = Q_LIMIT,
    extra: bool = False,
) -> Drift:
    """`drift` from two profiles on the same bins, at a cost that does not depend on their rows.

    The KS distance is taken at the bins' edges, so it is at most a bin's mass (about 0.01) below the
    exact one, and its p-value errs on the safe side. The Wasserstein distance
    of `extra` is exact but for where values lie within a bin. Raises ValueError for profiles on different bins.
    """
    check_same_bins(current.bins, reference.bins)
    short = too_few(current.rows, min_samples)
    found = [_compare_counts(current, reference, name, short) for name in reference.bins.features]
    if extra:
        found = [replace(each, extra=_beside(current, reference, each)) for each in found]
    return judge(found, threshold=threshold, importance=importance, q_limit=q_limit)


def _compare_counts(current: Profile, reference: Profile, name: str, short: str) -> Finding:
    bins = reference.bins.features[name]
    counts = current.counts_of(name)[:-1], reference.counts_of(name)[:-1]
    for side, count, rows in (("current", counts[0], current.rows), ("reference", counts[1], reference.rows)):
        lost = rows - int(count.sum())
        why = short or ("its counts are negative" if (count < 0).any() else unreadable(lost, rows, side))
        if why:
            return not_computable(name, bins.kind, why)
    note = left_out(current.rows - int(counts[0].sum()))
    if isinstance(bins, NumericBins):
        return Finding(name, bins.kind, _compare_bins(*counts), note)
    unseen = int(counts[0][-2])
    difference = chi_square_difference(counts[0], expecting_unseen(*counts, bins))
    return Finding(name, bins.kind, difference, notes(note, f"{unseen} values in unseen levels" if unseen else ""))


def _compare_bins(ours: Counts, theirs: Counts) -> Difference:
    n, m = int(ours.sum()), int(theirs.sum())
    distance = int(np.abs(np.cumsum(ours) * m - np.cumsum(theirs) * n).max()) / (n * m)
    return ks_difference(distance, n, m, table=_tenths(ours, theirs))


def _tenths(ours: Counts, theirs: Counts) -> tuple[Counts, Counts]:
    """Both sides in tenths of the reference; below, above and missing, which have little or none of it, stay apart."""
    m = int(theirs.sum())
    tenths = np.r_[0, 1 + (np.cumsum(theirs) - theirs)[1:-2] * _PSI_BINS // m, _PSI_BINS + 1, _PSI_BINS + 2]
    first, second = (np.bincount(tenths, weights=side).astype(np.int64) for side in (ours, theirs))
    return first, second


def _beside(current: Profile, reference: Profile, found: Finding) -> Extra | None:
    """The distances and shares of a feature that was compared."""
    if found.difference is None:
        return None
    name, bins = found.name, reference.bins.features[found.name]
    ours, theirs = current.counts_of(name)[:-1], reference.counts_of(name)[:-1]
    missing = float(ours[-1] / ours.sum()), float(theirs[-1] / theirs.sum())
    if isinstance(bins, CategoryBins):
        own = Distances(None, jensen_shannon(ours, theirs), total_variation(ours, theirs))
        return Extra(own, *missing, float(ours[-2] / ours.sum()))
    table = _tenths(ours, theirs)
    apart = _wasserstein(current, reference, name, bins)
    return Extra(Distances(apart, jensen_shannon(*table), total_variation(*table)), *missing)


def _wasserstein(current: Profile, reference: Profile, name: str, bins: NumericBins) -> float | None:
    """In standard deviations of the reference; what lies beyond the bins is spread up to the extremes."""
    ours, theirs = current.counts_of(name)[:-2], reference.counts_of(name)[:-2]
    own, other = current.moments[name], reference.moments[name]
    deviation = float(np.sqrt(other.variance or 0.0))
    if not bins.edges or not deviation or not ours.sum() or not theirs.sum():
        return None
    low, high = min(own.low, other.low, bins.edges[0]), max(own.high, other.high, bins.edges[-1])
    return binned_wasserstein(ours, theirs, np.array([low, *bins.edges, high])) / deviation


def expecting_unseen(ours: Counts, theirs: Counts, bins: CategoryBins) -> Counts:
    """The reference's counts with as many unseen values as a sample like it would hold.

    On the rows that made the bins nothing is unseen by construction, while the next sample holds unseen
    levels with the probability of a level that was seen once (Good 1953, Biometrika 40). So up to that
    many of the reference's values, but not more than would match the window, count as unseen.
    """
    other, unseen = len(bins.levels), len(bins.levels) + 1
    if theirs[unseen]:
        return theirs
    once = np.flatnonzero(theirs[:other] == 1)
    rest = min(bins.singletons, int(theirs[other]))
    expected = min(rest + len(once), round(int(theirs.sum()) * int(ours[unseen]) / int(ours.sum())))
    moved = theirs.copy()
    moved[other] -= min(expected, rest)
    moved[once[: max(0, expected - rest)]] = 0
    moved[unseen] = expected
    return moved


def each_expecting_unseen(ours: Counts, theirs: Counts, bins: CategoryBins) -> Counts:
    """`expecting_unseen` of each of W windows with rows, `ours` (W, k): shape (W, k)."""
    other, unseen = len(bins.levels), len(bins.levels) + 1
    moved = np.repeat(theirs[None], len(ours), axis=0)
    if theirs[unseen]:
        return moved
    once = np.flatnonzero(theirs[:other] == 1)
    rest = min(bins.singletons, int(theirs[other]))
    likely = np.rint(int(theirs.sum()) * ours[:, unseen] / ours.sum(axis=1)).astype(np.int64)
    expected = np.minimum(rest + len(once), likely)
    moved[:, other] -= np.minimum(expected, rest)
    moved[:, once] = np.where(np.arange(len(once)) < (expected - rest)[:, None], 0, moved[:, once])
    moved[:, unseen] = expected
    return moved
