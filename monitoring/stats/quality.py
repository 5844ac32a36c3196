"""Data that has become worse: missing, out of range, unreadable or unseen, against the reference; counts only."""

from __future__ import annotations

from typing import Literal, NamedTuple

import scipy  # loads scipy.stats at its first use: half of what a process takes to start

from mlops_site.stats.bins import CategoryBins, Counts, FeatureBins
from mlops_site.stats.intervals import holm
from mlops_site.stats.profile import Profile, check_same_bins

Check = Literal["missing", "range", "type", "unseen"]

ALPHA = 0.02  # for all features and checks together
LEAST_RISE = 0.05

_SAID: dict[Check, str] = {
    "missing": "missing",
    "range": "outside the range of the reference",
    "type": "unreadable",
    "unseen": "in unseen categories",
}


class QualityFinding(NamedTuple):
    """One check of one feature: the share of its `rows` values that fail it, in the window and in the reference."""

    feature: str
    check: Check
    share: float
    reference_share: float
    rows: int
    drifted: bool  # worse than the reference, and not by chance
    message: str


class _Failed(NamedTuple):
    """Values that fail a check, of all that it looks at."""

    failed: int
    of: int


def quality(profile: Profile, reference: Profile) -> list[QualityFinding]:
    """Every check in which a value fails, by feature; a feature without such values says nothing.

    It has become worse where the share rose by at least 0.05 and Fisher's exact test (one-sided, hypergeometric) is
    significant at 0.02 after Holm over all checks of all features. Unseen categories are compared with as many as
    another sample like the reference would hold (Good 1953, Biometrika 40). Raises ValueError for other bins.
    """
    check_same_bins(profile.bins, reference.bins)
    found = []
    for name, bins in reference.bins.features.items():
        ours, theirs = (_failures(side.counts_of(name), bins) for side in (profile, reference))
        if "unseen" in theirs and isinstance(bins, CategoryBins):
            theirs["unseen"] = _expected_unseen(theirs["unseen"], reference.counts_of(name), bins)
        found += [(name, check, ours[check], theirs[check]) for check in ours if ours[check].failed]
    adjusted = holm([_p_value(now, before) for _, _, now, before in found]).tolist()
    return [_finding(*each, p_value) for each, p_value in zip(found, adjusted, strict=True)]


def _failures(counts: Counts, bins: FeatureBins) -> dict[Check, _Failed]:
    rows, missing, unreadable = int(counts.sum()), int(counts[-2]), int(counts[-1])
    present = rows - missing - unreadable
    found: dict[Check, _Failed] = {"missing": _Failed(missing, rows), "type": _Failed(unreadable, rows)}
    if isinstance(bins, CategoryBins):
        return {**found, "unseen": _Failed(int(counts[-3]), present)}
    outside = int(counts[0] + counts[-3])
    return {**found, "range": _Failed(outside, present)} if bins.edges else found


def _expected_unseen(known: _Failed, counts: Counts, bins: CategoryBins) -> _Failed:
    """On the rows that made the bins nothing is unseen; the next sample holds as many as levels were seen once."""
    once = int((counts[: len(bins.levels)] == 1).sum()) + min(bins.singletons, int(counts[len(bins.levels)]))
    return _Failed(max(known.failed, min(once, known.of)), known.of)


def _p_value(now: _Failed, before: _Failed) -> float:
    """Of at least so many failures in the window if both were drawn from one urn."""
    if not now.of or not before.of:
        return 1.0
    failed, both = now.failed + before.failed, now.of + before.of
    return float(min(1.0, max(0.0, scipy.stats.hypergeom.sf(now.failed - 1, both, failed, now.of))))


def _finding(feature: str, check: Check, now: _Failed, before: _Failed, p_value: float) -> QualityFinding:
    share, reference_share = now.failed / now.of, before.failed / max(before.of, 1)
    worse = p_value <= ALPHA and share - reference_share >= LEAST_RISE
    message = f"{share:.1%} of the values of {feature} are {_SAID[check]}; {reference_share:.1%} in the reference"
    return QualityFinding(feature, check, share, reference_share, now.of, worse, message)
