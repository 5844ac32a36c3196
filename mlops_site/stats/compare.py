"""Drift of a window against a reference: per feature, and over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from mlops_site.stats.bins import Counts
from mlops_site.stats.cells import read_cells
from mlops_site.stats.columns import Kind, infer_kind
from mlops_site.stats.compare_profiles import profile_drift
from mlops_site.stats.effects import Difference, chi_square_difference, ks_difference
from mlops_site.stats.judge import (
    Drift,
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
) -> Drift:
    """Drift of the columns of `current` (n rows) against those of `reference` (m rows), computed exactly.

    Numbers: two-sample Kolmogorov-Smirnov; categories: chi-square. Missing values and unseen levels take
    part. A feature has drifted when it is significant (Benjamini-Hochberg, q <= 0.02) and material
    (effect >= `threshold`). Kinds are inferred from the reference if left out; a column that is absent
    on one side or unreadable is "not computable" and harms no other; so is all below `min_samples` rows.

    >>> before = pd.DataFrame({"age": range(500), "site": ["a", "b"] * 250})
    >>> found = drift(before.assign(age=before.age + 100), before)
    >>> [(feature.name, feature.statistic, feature.drifted) for feature in found.features]
    [('age', 0.2, True), ('site', 0.0, False)]
    """
    names = dict.fromkeys([*reference.columns, *current.columns] if kinds is None else kinds)
    short = too_few(len(current), min_samples)
    work = [partial(_compare_columns, current, reference, name, kinds, short) for name in names]
    with ThreadPoolExecutor(2) as threads:  # NumPy lets the other thread run while it counts and sorts
        found = list(threads.map(_call, work))
    return judge(found, threshold=threshold, importance=importance)


def _call(work: Callable[[], Finding]) -> Finding:
    return work()


def _compare_columns(
    current: pd.DataFrame, reference: pd.DataFrame, name: Any, kinds: Mapping[str, Kind] | None, short: str
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
        return Finding(str(name), kind, _compare_numbers(ours.values, theirs.values), note)
    counts, unseen = _level_counts(ours.values, theirs.values)
    return Finding(str(name), kind, chi_square_difference(*counts), notes(note, unseen))


def _compare_numbers(ours: Floats, theirs: Floats) -> Difference:
    table = _decile_counts(ours, theirs), _decile_counts(theirs, theirs)
    return ks_difference(ks_distance(ours, theirs), len(ours), len(theirs), table=table)


def _decile_counts(values: Floats, reference: Floats) -> Counts:
    """Counts of values between the deciles of (up to 10,000 of) the reference, and of missing ones."""
    picked = reference[:: max(1, len(reference) // 10_000)]
    picked = picked[~np.isnan(picked)]
    deciles = np.quantile(picked, np.arange(1, _PSI_BINS) / _PSI_BINS) if len(picked) else picked
    below = [int(np.count_nonzero(values <= cut)) for cut in np.unique(deciles)]
    present = len(values) - int(np.count_nonzero(np.isnan(values)))
    return np.diff([0, *below, present, len(values)])


def _level_counts(ours: Any, theirs: Any) -> tuple[tuple[Counts, Counts], str]:
    """Counts of every level on both sides, missing being one, and a note on the levels that are new."""
    (our_codes, our_levels), (their_codes, their_levels) = pd.factorize(ours), pd.factorize(theirs)
    levels = pd.Index(their_levels).append(pd.Index(our_levels)).unique()
    # Not in order of appearance: `pool` would join the rare levels of one side with each other.
    levels = levels[np.argsort(pd.util.hash_array(levels.to_numpy(dtype=object)), kind="stable")]
    counts = []
    for codes, own in ((our_codes, our_levels), (their_codes, their_levels)):
        count = np.zeros(len(levels), dtype=np.int64)
        count[levels.get_indexer(pd.Index(own))] = np.bincount(codes, minlength=len(own))
        counts.append(count)
    new = (counts[1] == 0) & (levels != "")
    note = f"{int(counts[0][new].sum())} values in {int(new.sum())} unseen levels" if new.any() else ""
    return (counts[0], counts[1]), note
