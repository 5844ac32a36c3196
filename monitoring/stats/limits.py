"""What the values of a feature are held to: derived from the reference, and changed by people where they know better.

The parts have the names that expectations of data sets use (`training.ml.expectations`): `max_share`, `min`, `max`,
`allowed`. Any check can be `off`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from mlops_site.stats.bins import Bins, CategoryBins, Counts, NumericBins
from mlops_site.stats.profile import Profile

Check = Literal["missing", "type", "range", "unseen", "cardinality", "outliers", "constant", "correlation"]

ALPHA = 0.001  # for all features and checks of a window together; for all pairs together
LEAST_RISE = 0.05  # a share that rose by less is tolerated unless somebody says otherwise
MOST_CHANGE = 0.2  # of a correlation
FENCE = 3.0  # interquartile ranges beyond the quartiles: Tukey's far out
CERTAIN = 20  # rows of the reference that a level must have for its absence to say anything

PARTS: dict[Check, tuple[str, ...]] = {
    "missing": ("max_share",),
    "type": ("max_share",),
    "range": ("min", "max", "max_share"),
    "unseen": ("allowed", "max_share"),
    "cardinality": ("max_share",),
    "outliers": ("max_share",),
    "constant": (),
    "correlation": ("max_change",),
}
NEEDS_ROWS = {"min", "max", "allowed"}  # parts that counts on the reference's bins cannot answer

Edits = Mapping[tuple[str, str], Mapping[str, Any]]


class QualityFinding(NamedTuple):
    """One check of one feature. `share` of its `rows` values fail it, `reference_share` of the reference, `limit` may.
    Of the check `cardinality` the shares are of the reference: how much of it has levels that are gone; of
    `correlation` they are the coefficients of the pair in the window and in training, and `limit` is the largest
    difference."""

    feature: str
    check: Check
    share: float
    reference_share: float | None
    rows: int
    drifted: bool  # beyond its limit, and not by chance
    message: str
    limit: float | None = None


class Limit(NamedTuple):
    """One check of one feature: what was derived, what somebody set instead (None: nothing), and the share of the
    reference that fails it."""

    feature: str
    check: Check
    derived: dict[str, Any]
    edit: dict[str, Any] | None
    reference_share: float | None

    @property
    def effective(self) -> dict[str, Any]:
        """What holds; only {"off": True} where the check is off."""
        if self.off:
            return {"off": True}
        return {**self.derived, **{name: said for name, said in (self.edit or {}).items() if name != "off"}}

    @property
    def off(self) -> bool:
        return bool((self.edit or {}).get("off"))

    @property
    def needs_rows(self) -> bool:
        """It is judged on a sample of rows, not on the profile."""
        return not self.off and (self.check == "correlation" or bool(NEEDS_ROWS & set(self.edit or {})))


def limits(reference: Profile, *, edits: Edits | None = None, correlated: Collection[str] = ()) -> list[Limit]:
    """Every check that the reference supports, feature by feature; `correlated` features are those whose pairwise
    correlations in training are known. An edit of a feature or a check that is not here is passed over."""
    known, found = edits or {}, []
    for name, bins in reference.bins.features.items():
        counts = reference.counts_of(name)
        derived = _of_number(counts, bins) if isinstance(bins, NumericBins) else _of_category(counts, bins)
        if name in correlated:
            derived["correlation"] = ({"max_change": MOST_CHANGE}, None)
        for check, (parts, share) in derived.items():
            edit = known.get((name, check))
            found.append(Limit(name, check, parts, None if edit is None else dict(edit), share))
    return found


_Derived = dict[Check, tuple[dict[str, Any], float | None]]


def _shares(counts: Counts) -> _Derived:
    rows = max(int(counts.sum()), 1)
    missing, unreadable = int(counts[-2]) / rows, int(counts[-1]) / rows
    return {"missing": (_at_most(missing), missing), "type": (_at_most(unreadable), unreadable)}


def _of_number(counts: Counts, bins: NumericBins) -> _Derived:
    found = _shares(counts)
    if not bins.edges:
        return found
    present, (low, high) = max(int(counts[:-2].sum()), 1), (bins.edges[0], bins.edges[-1])
    found["range"] = ({"min": low, "max": high, **_at_most(0.0)}, 0.0)
    beyond = far_out(counts, bins)
    if beyond is not None:
        share = int(counts[:-2][beyond].sum()) / present
        below, above = _fences(beyond, bins)
        found["outliers"] = ({"below": below, "above": above, **_at_most(share)}, share)
    if low < high:
        found["constant"] = ({}, None)
    return found


def _of_category(counts: Counts, bins: CategoryBins) -> _Derived:
    found = _shares(counts)
    present = max(int(counts[:-2].sum()), 1)
    if not bins.open:
        unseen = int(counts[-3]) / present
        found["unseen"] = ({"allowed": [], **_at_most(unseen)}, unseen)
    if (counts[: len(bins.levels)] >= CERTAIN).sum() > 1:
        found["cardinality"] = (_at_most(0.0), 0.0)
    if (counts[: len(bins.levels) + 2] > 0).sum() > 1:
        found["constant"] = ({}, None)
    return found


def _at_most(share: float) -> dict[str, Any]:
    return {"max_share": round(min(1.0, share + LEAST_RISE), 6)}


def far_out(counts: Counts, bins: NumericBins) -> Any:
    """Which of [below, bins..., above] lie wholly beyond Tukey's outer fences, by the reference's counts: a mask, or
    None where no value of the reference does (its range says it all then) or half of them are one value."""
    within = counts[1:-3]
    total = int(within.sum())
    if not total:
        return None
    reached, lowers, uppers = np.cumsum(within), np.array(bins.edges[:-1]), np.array(bins.edges[1:])
    first, third = (uppers[np.searchsorted(reached, share * total)] for share in (0.25, 0.75))
    spread = FENCE * (third - first)
    beyond = np.r_[True, (uppers < first - spread) | (lowers >= third + spread), True]
    return beyond if spread > 0 and within[beyond[1:-1]].any() else None


def _fences(beyond: Any, bins: NumericBins) -> tuple[float | None, float | None]:
    inside = np.flatnonzero(~beyond[1:-1])
    low, high = bins.edges[inside[0]], bins.edges[inside[-1] + 1]
    return (low if inside[0] > 0 else None), (high if inside[-1] + 1 < len(bins.edges) - 1 else None)


def parts_of(bins: Bins, feature: str, check: str) -> tuple[str, ...] | None:
    """What can be said of a check of a feature on these bins; None where it makes no sense."""
    known = bins.features.get(feature)
    if known is None or check not in PARTS:
        return None
    only = {"number": ("range", "outliers", "correlation"), "category": ("unseen", "cardinality")}
    wrong = only["category" if known.kind == "number" else "number"]
    return None if check in wrong else PARTS[check]
