"""Bins drawn from a reference frame: quantiles for numbers, the frequent levels for categories."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.stats.bins import (
    KNOWN_LEVELS,
    LONGEST_LEVEL,
    MAX_BINS,
    Bins,
    CategoryBins,
    FeatureBins,
    NumericBins,
    level_hash,
)
from mlops_site.stats.cells import read_cells
from mlops_site.stats.columns import Kind
from mlops_site.stats.scored import Floats

SAMPLE_ROWS = 100_000
_RANKABLE = 30  # a level counted less often is among the top 100 by luck: its share would shrink later


def reference_bins(frame: pd.DataFrame, kinds: Mapping[str, Kind], *, salt: str) -> Bins:
    """Bins of the columns of `kinds`; a column that cannot be read gets empty bins and breaks nothing.

    Up to 100 values have a bin each; of more, quantiles are taken from about 100,000 rows at most, chosen
    by a hash of `salt` and the row's position, so that the same frame and salt give the same bins
    anywhere. A value that is frequent enough to fill a quantile bin gets a bin of its own. The outer
    edges are the true extremes.
    """
    features: dict[str, FeatureBins] = {}
    for name, kind in kinds.items():
        cells = read_cells(name, frame.get(name), kind, rows=len(frame))
        features[name] = _numeric_bins(cells.values, salt) if kind == "number" else _category_bins(cells.values)
    return Bins(features)


def _numeric_bins(values: Floats, salt: str) -> NumericBins:
    present = values[~np.isnan(values)]
    if not len(present):
        return NumericBins(())
    low, high = float(present.min()), float(present.max())
    sample = np.sort(present[_sampled(len(present), salt)])
    uppers = sample[np.r_[True, np.diff(sample) > 0]]
    if len(uppers) > MAX_BINS:
        uppers = _quantiles(sample, uppers)
    kept = uppers[: MAX_BINS - 1] if uppers[-1] < high else uppers[:-1]
    return NumericBins((low, *kept.tolist(), high))


def _quantiles(sample: Floats, distinct: Floats) -> Floats:
    """At most 100 upper edges of equal mass; a repeated one is a heavy value, parted from what is below."""
    ranks = -(-np.arange(1, MAX_BINS + 1) * len(sample) // MAX_BINS) - 1
    uppers, times = np.unique(sample[ranks], return_counts=True)
    before = np.searchsorted(distinct, uppers[times > 1]) - 1
    return np.union1d(uppers, distinct[before[before >= 0]])


def _sampled(n: int, salt: str) -> NDArray[np.bool_]:
    """The rows whose mixed position is small enough: about SAMPLE_ROWS of n, or all.

    Mixing is SplitMix64's finalizer (Steele, Lea and Flood, 2014).
    """
    if n <= SAMPLE_ROWS:
        return np.ones(n, dtype=np.bool_)
    start = int.from_bytes(hashlib.blake2b(salt.encode(), digest_size=8).digest(), "big")
    mixed = np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed < np.uint64(SAMPLE_ROWS * 2**64 // n)


def _category_bins(values: Any) -> CategoryBins:
    codes, levels = pd.factorize(values)
    counts = dict(zip(levels, np.bincount(codes, minlength=len(levels)).tolist(), strict=True))
    counts.pop("", None)
    ranked = sorted(counts, key=lambda level: (-counts[level], level))
    least = _RANKABLE if len(ranked) > MAX_BINS else 1
    kept = [level for level in ranked[:MAX_BINS] if counts[level] >= least and len(level) <= LONGEST_LEVEL]
    others = set(ranked) - set(kept)
    if len(others) > KNOWN_LEVELS:
        return CategoryBins(tuple(kept), open=True)
    once = sum(counts[level] == 1 for level in others)
    return CategoryBins(tuple(kept), frozenset(map(level_hash, others)), singletons=once)
