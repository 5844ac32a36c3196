"""Data that has become worse than the reference, by the limits that are derived from it or set by people."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy  # loads its parts at their first use

from mlops_site.stats.bins import CategoryBins, Counts, FeatureBins, NumericBins
from mlops_site.stats.cells import Cells, read_cells
from mlops_site.stats.correlations import Correlations
from mlops_site.stats.intervals import holm
from mlops_site.stats.profile import Profile, check_same_bins
from mlops_site.stats.scored import Floats
from monitoring.stats.limits import ALPHA, CERTAIN, LEAST_RISE, Check, Edits, Limit, QualityFinding, far_out, limits
from monitoring.stats.pairs import moved

_SAID: dict[str, str] = {
    "missing": "missing",
    "range": "outside the range",
    "type": "unreadable",
    "unseen": "in unseen categories",
    "outliers": "far out",
}
_SHARED = ("missing", "type", "range", "unseen", "outliers")


class _Failed(NamedTuple):
    """Values that fail a check, of all that it looks at."""

    failed: int
    of: int


class _Judged(NamedTuple):
    limit: Limit
    share: float
    of: int
    p_value: float
    beyond: bool  # in size
    message: str


def quality(
    profile: Profile,
    reference: Profile,
    *,
    edits: Edits | None = None,
    sample: pd.DataFrame | None = None,
    correlated: Correlations | None = None,
) -> list[QualityFinding]:
    """Every check in which a value fails, by feature; a feature without such values says nothing.

    A derived limit is the reference's share and 0.05: Fisher's exact test (one-sided, hypergeometric) says whether the
    share rose. One that somebody set is a number: the binomial test says whether the share is above it. Both at 0.001
    after Holm over all checks of all features; of correlations, over all pairs. Unseen categories are compared with as
    many as another sample like the reference would hold (Good 1953, Biometrika 40). `sample` holds rows of the window
    for what the counts cannot answer: set bounds, allowed categories, correlations against `correlated`.
    Raises ValueError for other bins.
    """
    check_same_bins(profile.bins, reference.bins)
    if not profile.rows:
        return []
    judged = []
    for limit in limits(reference, edits=edits):
        if not limit.off:
            judged += [each for each in [_judge(limit, profile, reference, sample)] if each]
    adjusted = holm([each.p_value for each in judged]).tolist()
    found = [_finding(*each) for each in zip(judged, adjusted, strict=True)]
    return [*(each for each in found if each), *moved(reference, edits, sample, correlated)]


def _judge(limit: Limit, profile: Profile, reference: Profile, sample: pd.DataFrame | None) -> _Judged | None:
    """None where nothing fails, or rows are needed that are not there."""
    bins = reference.bins.features[limit.feature]
    ours, theirs = profile.counts_of(limit.feature), reference.counts_of(limit.feature)
    if limit.check == "constant":
        return _constant(limit, ours, theirs, bins, profile)
    if limit.check == "cardinality" and isinstance(bins, CategoryBins):
        return _vanished(limit, ours, theirs, bins)
    before = _failures(limit.check, theirs, theirs, bins)
    now = _failures(limit.check, ours, theirs, bins)
    if limit.needs_rows:
        if sample is None:
            return None
        now = _failures_in(limit, sample, bins)
    elif limit.check == "unseen" and isinstance(bins, CategoryBins):
        before = _expected_unseen(before, theirs, bins)
    return _share(limit, now, before) if now.failed else None


def _share(limit: Limit, now: _Failed, before: _Failed) -> _Judged:
    share, reference_share = now.failed / now.of, before.failed / max(before.of, 1)
    most = float(limit.effective["max_share"])
    edit = limit.edit or {}
    if "max_share" in edit or limit.needs_rows:
        p_value, beyond = float(scipy.stats.binom.sf(now.failed - 1, now.of, most)), share > most
    else:
        p_value, beyond = _p_value(now, before), share - reference_share >= LEAST_RISE
        most = min(1.0, reference_share + LEAST_RISE)
    said = f"{share:.1%} of {now.of:,} values of {limit.feature} are {_SAID[limit.check]}{_bounds(limit)}"
    message = f"{said}; {reference_share:.1%} in the reference, at most {most:.1%}"
    return _Judged(limit._replace(reference_share=reference_share), share, now.of, p_value, beyond, message)


def _bounds(limit: Limit) -> str:
    if limit.check != "range":
        return ""
    low, high = limit.effective.get("min"), limit.effective.get("max")
    if low is None or high is None:
        return f" (at least {low:g})" if low is not None else f" (at most {high:g})"
    return f" ({low:g} to {high:g})"


def _failures(check: Check, counts: Counts, reference: Counts, bins: FeatureBins) -> _Failed:
    rows, missing, unreadable = int(counts.sum()), int(counts[-2]), int(counts[-1])
    present = rows - missing - unreadable
    if check in ("missing", "type"):
        return _Failed(missing if check == "missing" else unreadable, rows)
    if check == "outliers" and isinstance(bins, NumericBins):
        return _Failed(int(counts[:-2][far_out(reference, bins)].sum()), present)
    return _Failed(int(counts[-3]) + (int(counts[0]) if check == "range" else 0), present)


def _failures_in(limit: Limit, sample: pd.DataFrame, bins: FeatureBins) -> _Failed:
    """Of sampled rows: numbers outside the bounds, or categories neither known nor allowed."""
    cells = read_cells(limit.feature, sample.get(limit.feature), bins.kind, rows=len(sample))
    said = limit.effective
    if isinstance(bins, CategoryBins):
        texts = cells.values[~cells.values.isin([*map(str, said["allowed"]), ""])]
        allowed = int((cells.values != "").sum())
        return _Failed(int(bins.count(Cells(texts))[-3]), allowed)
    values = cells.values[~np.isnan(cells.values)]
    low, high = said.get("min"), said.get("max")
    outside = (values < (-np.inf if low is None else low)) | (values > (np.inf if high is None else high))
    return _Failed(int(outside.sum()), len(values))


def _constant(limit: Limit, ours: Counts, theirs: Counts, bins: FeatureBins, profile: Profile) -> _Judged | None:
    """One value, where the reference has several: by chance with its share to the power of n. The share is taken as
    large as it may be, three standard errors above that of the reference."""
    regular = ours[:-2]
    n, place = int(regular.sum()), int(np.argmax(regular))
    if n < 2 or int(regular[place]) < n or not _is_one_value(limit.feature, place, bins, profile):
        return None
    total = max(int(theirs[:-2].sum()), 1)
    others = total - int(theirs[place])
    p_value = (1 - max(0.0, others - 3 * others**0.5) / total) ** n
    usual = int(theirs[place]) / total
    message = f"all {n:,} values of {limit.feature} are the same; {usual:.1%} of the reference are like that"
    return _Judged(limit._replace(reference_share=usual), 1.0, n, p_value, True, message)


def _is_one_value(feature: str, place: int, bins: FeatureBins, profile: Profile) -> bool:
    if isinstance(bins, CategoryBins):
        return place < len(bins.levels)  # what has no bin of its own may be many levels
    return profile.moments[feature].variance == 0


def _vanished(limit: Limit, ours: Counts, theirs: Counts, bins: CategoryBins) -> _Judged | None:
    """Levels of the reference that are gone: their share of it, and a bound of the chance that rows like the
    reference's lack so much of it.

    Absences of levels are negatively associated, so Chernoff's bound of independent ones holds (Dubhashi and Ranjan,
    1998, Random Structures and Algorithms 13). Only levels of 20 rows and more are looked at, by the lower end of what
    their share may be.
    """
    levels, n = theirs[: len(bins.levels)], int(ours[:-2].sum())
    sure = levels >= CERTAIN
    gone = sure & (ours[: len(bins.levels)] <= 0)
    if not n or not gone.any():
        return None
    total = int(theirs[:-2].sum())
    share = float(levels[gone].sum() / total)
    low = (levels[sure] - 3 * np.sqrt(levels[sure])) / total
    most = float(limit.effective["max_share"])
    names = ", ".join(name for name, is_gone in zip(bins.levels, gone, strict=True) if is_gone)
    message = (
        f"{int(gone.sum())} of {len(bins.levels)} levels of {limit.feature} are gone from {n:,} values ({names:.80}); "
        f"they are {share:.1%} of the reference, at most {most:.1%}"
    )
    return _Judged(limit, share, n, _chernoff(low, n, float(low[gone[sure]].sum())), share > most, message)


def _chernoff(shares: Floats, n: int, missing: float) -> float:
    """A bound of the probability that n draws lack levels that hold `missing` or more in all."""
    absent = np.exp(n * np.log1p(-shares))
    steps = np.geomspace(0.1, 1e4, 60)[:, None]
    logs = np.log1p(absent * np.expm1(np.minimum(steps * shares, 600))).sum(axis=1) - steps[:, 0] * missing
    return float(np.exp(min(0.0, logs.min())))


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


def _finding(judged: _Judged, p_value: float) -> QualityFinding | None:
    """What has no share that fails (a constant, a level that is gone) is told only where it is bad."""
    limit, bad = judged.limit, judged.beyond and p_value <= ALPHA
    if not bad and limit.check not in _SHARED:
        return None
    most = limit.effective.get("max_share")
    told = judged.share, limit.reference_share, judged.of, bad, judged.message
    return QualityFinding(limit.feature, limit.check, *told, None if most is None else float(most))
