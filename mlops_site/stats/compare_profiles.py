"""Drift of a window's profile against a reference profile: sums only, never rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlops_site.stats.bins import CategoryBins, Counts, NumericBins
from mlops_site.stats.effects import Difference, chi_square_difference, ks_difference
from mlops_site.stats.judge import Drift, Finding, judge, left_out, not_computable, notes, too_few, unreadable
from mlops_site.stats.profile import Profile, check_same_bins

_PSI_BINS = 10


def profile_drift(
    current: Profile,
    reference: Profile,
    *,
    threshold: float = 0.1,
    importance: Mapping[str, float] | None = None,
    min_samples: int = 1,
) -> Drift:
    """`drift` from two profiles on the same bins, at a cost that does not depend on their rows.

    The KS distance is taken at the bins' edges, so it is at most a bin's mass (about 0.01) below the
    exact one, and its p-value errs on the safe side. Raises ValueError for profiles on different bins.
    """
    check_same_bins(current.bins, reference.bins)
    short = too_few(current.rows, min_samples)
    found = [_compare_counts(current, reference, name, short) for name in reference.bins.features]
    return judge(found, threshold=threshold, importance=importance)


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
    difference = chi_square_difference(counts[0], _expecting_unseen(*counts, bins))
    return Finding(name, bins.kind, difference, notes(note, f"{unseen} values in unseen levels" if unseen else ""))


def _compare_bins(ours: Counts, theirs: Counts) -> Difference:
    n, m = int(ours.sum()), int(theirs.sum())
    distance = int(np.abs(np.cumsum(ours) * m - np.cumsum(theirs) * n).max()) / (n * m)
    # Tenths of the reference; below, above and missing, which have little or none of it, stay apart.
    tenths = np.r_[0, 1 + (np.cumsum(theirs) - theirs)[1:-2] * _PSI_BINS // m, _PSI_BINS + 1, _PSI_BINS + 2]
    table = [np.bincount(tenths, weights=side).astype(np.int64) for side in (ours, theirs)]
    return ks_difference(distance, n, m, table=(table[0], table[1]))


def _expecting_unseen(ours: Counts, theirs: Counts, bins: CategoryBins) -> Counts:
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
