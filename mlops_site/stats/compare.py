"""Drift of a window against a reference: per feature, and over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.stats.bins import Bins, Counts, FeatureBins
from mlops_site.stats.cells import Cells, read_cells
from mlops_site.stats.columns import TEXT, Kind, infer_kind
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
from mlops_site.stats.ks import ks_distance_of_sorted
from mlops_site.stats.profile import Column, Profile, profile_of
from mlops_site.stats.reference import column_bins
from mlops_site.stats.scored import Floats

__all__ = ["Drift", "FeatureDrift", "Severity", "drift", "profile_drift", "severity"]

_PSI_BINS = 10
_Said = TypeVar("_Said")


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
    find = partial(_found, short=too_few(len(current), min_samples), extra=extra)
    found = _of_columns(current, reference, kinds, find)
    return judge(found, threshold=threshold, importance=importance, q_limit=q_limit)


class Compared(NamedTuple):
    """Drift of two frames, and the profiles of both on bins of the reference."""

    drift: Drift
    current: Profile
    reference: Profile


def drift_and_profiles(
    current: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    salt: str,
    kinds: Mapping[str, Kind] | None = None,
    threshold: float = 0.1,
    importance: Mapping[str, float] | None = None,
    min_samples: int = 1,
    q_limit: float = Q_LIMIT,
) -> Compared:
    """What `drift` with `extra`, `reference_bins` and `profile` of both say, each column read and sorted once."""
    find = partial(_found_and_counted, short=too_few(len(current), min_samples), salt=salt)
    columns = _of_columns(current, reference, kinds, find)
    found = judge([each[0] for each in columns], threshold=threshold, importance=importance, q_limit=q_limit)
    bins = Bins({finding.name: own for finding, own, *_ in columns})
    sides = []
    for side, frame in enumerate((current, reference)):
        counted = {each[0].name: each[2][side] for each in columns}
        sides.append(profile_of(counted, bins, len(frame)))
    return Compared(found, *sides)


class _Pair(NamedTuple):
    """A column of both frames. With a `why` its kind is not known, and nothing can be compared."""

    name: str
    kind: Kind
    ours: Cells
    theirs: Cells
    why: str
    rows: tuple[int, int]


def _of_columns(
    current: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind] | None, find: Callable[[_Pair], _Said]
) -> list[_Said]:
    """What is found of each column, two at a time."""
    names = dict.fromkeys([*reference.columns, *current.columns] if kinds is None else kinds)

    def work(name: Any) -> _Said:
        return find(_pair(current, reference, name, kinds))

    with ThreadPoolExecutor(2) as threads:  # NumPy lets the other thread run while it counts and sorts
        return list(threads.map(work, names))


def _pair(current: pd.DataFrame, reference: pd.DataFrame, name: Any, kinds: Mapping[str, Kind] | None) -> _Pair:
    pair, rows = (current.get(name), reference.get(name)), (len(current), len(reference))
    kind: Kind = "category"
    try:
        known = next((column for column in reversed(pair) if isinstance(column, pd.Series)), None)
        kind = kinds[name] if kinds else infer_kind(str(name), known) if known is not None else kind
    except ValueError as error:
        why = str(error)
        none = [Cells(pd.array([], dtype=TEXT), of, why) for of in rows]
        return _Pair(str(name), kind, none[0], none[1], why, rows)
    ours, theirs = (read_cells(str(name), own, kind, rows=of) for own, of in zip(pair, rows, strict=True))
    return _Pair(str(name), kind, ours, theirs, "", rows)


def _found(pair: _Pair, *, short: str, extra: bool) -> Finding:
    if pair.why:
        return not_computable(pair.name, pair.kind, pair.why)
    for side, cells, rows in zip(("current", "reference"), (pair.ours, pair.theirs), pair.rows, strict=True):
        why = short or unreadable(cells.unreadable, rows, side, why=cells.why)
        if why:
            return not_computable(pair.name, pair.kind, why)
    note = left_out(pair.ours.unreadable, why=pair.ours.why)
    if pair.kind == "number":
        return Finding(pair.name, pair.kind, *_compare_numbers(pair.ours, pair.theirs, note, extra=extra))
    levels = _level_counts(pair.ours, pair.theirs)
    beside = _levels_beside(levels) if extra else None
    difference = chi_square_difference(levels.ours, levels.theirs)
    return Finding(pair.name, pair.kind, difference, notes(note, levels.note), beside)


def _found_and_counted(pair: _Pair, *, short: str, salt: str) -> tuple[Finding, FeatureBins, tuple[Column, Column]]:
    bins = column_bins(pair.theirs, pair.kind, salt=salt)
    sides = Column.of(pair.ours, bins), Column.of(pair.theirs, bins)
    return _found(pair, short=short, extra=True), bins, sides


def _compare_numbers(ours: Cells, theirs: Cells, note: str, *, extra: bool) -> tuple[Difference, str, Extra | None]:
    n, m = len(ours.values), len(theirs.values)
    deciles = _deciles(theirs.values)
    table = _decile_counts(ours, deciles), _decile_counts(theirs, deciles)
    distance = ks_distance_of_sorted(ours.ordered, theirs.ordered, n, m)
    difference = ks_difference(distance, n, m, table=table)
    if not extra:
        return difference, note, None
    apart, shares = _wasserstein(ours, theirs), [float(side[-1] / side.sum()) for side in table]
    distances = Distances(apart, jensen_shannon(*table), total_variation(*table))
    return difference, note, Extra(distances, shares[0], shares[1])


def _wasserstein(ours: Cells, theirs: Cells) -> float | None:
    """In standard deviations of the reference; None without numbers on a side, or without a deviation."""
    if not len(ours.ordered) or not len(theirs.ordered):
        return None
    deviation = float(np.std(theirs.ordered))
    return wasserstein(ours.ordered, theirs.ordered) / deviation if deviation else None


def _levels_beside(levels: Levels) -> Extra:
    ours, theirs = levels.ours, levels.theirs
    distances = Distances(None, jensen_shannon(ours, theirs), total_variation(ours, theirs))
    return Extra(
        distances,
        float(ours[levels.missing].sum() / ours.sum()),
        float(theirs[levels.missing].sum() / theirs.sum()),
        float(ours[levels.new].sum() / ours.sum()),
    )


def _deciles(reference: Floats) -> Floats:
    """Of (up to 10,000 of) the reference."""
    picked = reference[:: max(1, len(reference) // 10_000)]
    picked = picked[~np.isnan(picked)]
    return np.unique(np.quantile(picked, np.arange(1, _PSI_BINS) / _PSI_BINS)) if len(picked) else picked


def _decile_counts(cells: Cells, deciles: Floats) -> Counts:
    """Counts of values between the deciles, and of missing ones."""
    below = np.searchsorted(cells.ordered, deciles, side="right")
    return np.diff(np.concatenate([[0], below, [len(cells.ordered), len(cells.values)]]))


class Levels(NamedTuple):
    """Counts of every level on both sides, (k,), which of them is missing and which are new, and a note on these."""

    ours: Counts
    theirs: Counts
    missing: NDArray[np.bool_]
    new: NDArray[np.bool_]
    note: str


def _level_counts(ours: Cells, theirs: Cells) -> Levels:
    (our_levels, our_times), (their_levels, their_times) = ours.levels, theirs.levels
    levels = pd.Index(their_levels).append(pd.Index(our_levels)).unique()
    # Not in order of appearance: `pool` would join the rare levels of one side with each other.
    levels = levels[np.argsort(pd.util.hash_array(levels.to_numpy(dtype=object)), kind="stable")]
    counts = []
    for own, times in ((our_levels, our_times), (their_levels, their_times)):
        count = np.zeros(len(levels), dtype=np.int64)
        count[levels.get_indexer(pd.Index(own))] = times
        counts.append(count)
    missing = np.asarray(levels == "", dtype=bool)
    new = (counts[1] == 0) & ~missing
    note = f"{int(counts[0][new].sum())} values in {int(new.sum())} unseen levels" if new.any() else ""
    return Levels(counts[0], counts[1], missing, new, note)
