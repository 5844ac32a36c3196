"""Drift of a window against a reference: per feature, and over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.stats.bins import Counts
from mlops_site.stats.cells import read_cells
from mlops_site.stats.columns import Kind, infer_kind
from mlops_site.stats.compare_profiles import profile_drift
from mlops_site.stats.distances import Distances, jensen_shannon, total_variation, wasserstein
from mlops_site.stats.effects import Difference, chi_square_difference, ks_difference
from mlops_site.stats.judge import (
    Q_LIMIT,
    Drift,
    Extra,
    FeatureDrift,
    Finding,
    Severity,
    judge,
    left_out,
    not_computable,
    notes,
    severity,
    too_few,
    unreadable,
)
from mlops_site.stats.ks import ks_distance
from mlops_site.stats.scored import Floats

__all__ = ["Drift", "FeatureDrift", "Severity", "drift", "profile_drift", "severity"]

_PSI_BINS = 10


def drift(
    current: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    kinds: Mapping[str, Kind] | None = None,
    threshold: float = 0.1,
    importance: Mapping[str, float] | None = None,
    min_samples: int = 1,
    q_limit: float = Q_LIMIT,
    extra: bool = False,
) -> Drift:
    """Drift of the columns of `current` (n rows) against those of `reference` (m rows), computed exactly.

    Numbers: two-sample Kolmogorov-Smirnov; categories: chi-square. Missing values and unseen levels take
    part. A feature has drifted when it is significant (Benjamini-Hochberg, q <= `q_limit`) and material
    (effect >= `threshold`). With `extra` each has its Wasserstein, Jensen-Shannon and total variation distance,
    and the shares that are missing and unseen. Kinds are inferred from the reference if left out; a column that is
    absent on one side or unreadable is "not computable" and harms no other; so is all below `min_samples` rows.

    >>> before = pd.DataFrame({"age": range(500), "site": ["a", "b"] * 250})
    >>> found = drift(before.assign(age=before.age + 100), before)
    >>> [(feature.name, feature.statistic, feature.drifted) for feature in found.features]
    [('age', 0.2, True), ('site', 0.0, False)]
    """
    names = dict.fromkeys([*reference.columns, *current.columns] if kinds is None else kinds)
    short = too_few(len(current), min_samples)
    work = [partial(_compare_columns, current, reference, name, kinds, short, extra) for name in names]
    with ThreadPoolExecutor(2) as threads:  # NumPy lets the other thread run while it counts and sorts
        found = list(threads.map(_call, work))
    return judge(found, threshold=threshold, importance=importance, q_limit=q_limit)


def _call(work: Callable[[], Finding]) -> Finding:
    return work()


def _compare_columns(
    current: pd.DataFrame,
    reference: pd.DataFrame,
    name: Any,
    kinds: Mapping[str, Kind] | None,
    short: str,
    extra: bool,
) -> Finding:
    pair = current.get(name), reference.get(name)
    kind: Kind = "category"
    try:
        known = next((column for column in reversed(pair) if isinstance(column, pd.Series)), None)
        kind = kinds[name] if kinds else infer_kind(str(name), known) if known is not None else kind
    except ValueError as error:
        return not_computable(name, kind, str(error))
    ours = read_cells(str(name), pair[0], kind, rows=len(current))
    theirs = read_cells(str(name), pair[1], kind, rows=len(reference))
    for side, cells, rows in (("current", ours, len(current)), ("reference", theirs, len(reference))):
        why = short or unreadable(cells.unreadable, rows, side, why=cells.why)
        if why:
            return not_computable(name, kind, why)
    note = left_out(ours.unreadable, why=ours.why)
    if kind == "number":
        return Finding(str(name), kind, *_compare_numbers(ours.values, theirs.values, note, extra=extra))
    levels = _level_counts(ours.values, theirs.values)
    beside = _levels_beside(levels) if extra else None
    return Finding(str(name), kind, chi_square_difference(levels.ours, levels.theirs), notes(note, levels.note), beside)


def _compare_numbers(ours: Floats, theirs: Floats, note: str, *, extra: bool) -> tuple[Difference, str, Extra | None]:
    table = _decile_counts(ours, theirs), _decile_counts(theirs, theirs)
    difference = ks_difference(ks_distance(ours, theirs), len(ours), len(theirs), table=table)
    if not extra:
        return difference, note, None
    apart, shares = _wasserstein(ours, theirs), [float(side[-1] / side.sum()) for side in table]
    distances = Distances(apart, jensen_shannon(*table), total_variation(*table))
    return difference, note, Extra(distances, shares[0], shares[1])


def _wasserstein(ours: Floats, theirs: Floats) -> float | None:
    """In standard deviations of the reference; None without numbers on a side, or without a deviation."""
    first, second = np.sort(ours), np.sort(theirs)  # missing ones at the end
    first, second = (side[: len(side) - int(np.count_nonzero(np.isnan(side)))] for side in (first, second))
    if not len(first) or not len(second):
        return None
    deviation = float(np.std(second))
    return wasserstein(first, second) / deviation if deviation else None


def _levels_beside(levels: Levels) -> Extra:
    ours, theirs = levels.ours, levels.theirs
    distances = Distances(None, jensen_shannon(ours, theirs), total_variation(ours, theirs))
    return Extra(
        distances,
        float(ours[levels.missing].sum() / ours.sum()),
        float(theirs[levels.missing].sum() / theirs.sum()),
        float(ours[levels.new].sum() / ours.sum()),
    )


def _decile_counts(values: Floats, reference: Floats) -> Counts:
    """Counts of values between the deciles of (up to 10,000 of) the reference, and of missing ones."""
    picked = reference[:: max(1, len(reference) // 10_000)]
    picked = picked[~np.isnan(picked)]
    deciles = np.quantile(picked, np.arange(1, _PSI_BINS) / _PSI_BINS) if len(picked) else picked
    below = [int(np.count_nonzero(values <= cut)) for cut in np.unique(deciles)]
    present = len(values) - int(np.count_nonzero(np.isnan(values)))
    return np.diff([0, *below, present, len(values)])


class Levels(NamedTuple):
    """Counts of every level on both sides, (k,), which of them is missing and which are new, and a note on these."""

    ours: Counts
    theirs: Counts
    missing: NDArray[np.bool_]
    new: NDArray[np.bool_]
    note: str


def _level_counts(ours: Any, theirs: Any) -> Levels:
    (our_codes, our_levels), (their_codes, their_levels) = pd.factorize(ours), pd.factorize(theirs)
    levels = pd.Index(their_levels).append(pd.Index(our_levels)).unique()
    # Not in order of appearance: `pool` would join the rare levels of one side with each other.
    levels = levels[np.argsort(pd.util.hash_array(levels.to_numpy(dtype=object)), kind="stable")]
    counts = []
    for codes, own in ((our_codes, our_levels), (their_codes, their_levels)):
        count = np.zeros(len(levels), dtype=np.int64)
        count[levels.get_indexer(pd.Index(own))] = np.bincount(codes, minlength=len(own))
        counts.append(count)
    missing = np.asarray(levels == "", dtype=bool)
    new = (counts[1] == 0) & ~missing
    note = f"{int(counts[0][new].sum())} values in {int(new.sum())} unseen levels" if new.any() else ""
    return Levels(counts[0], counts[1], missing, new, note)
