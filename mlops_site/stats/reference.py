"""Bins drawn from a reference frame: quantiles for numbers, the frequent levels for categories."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

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
from mlops_site.stats.cells import Cells, read_cells
from mlops_site.stats.columns import Kind
from mlops_site.stats.scored import Floats

SAMPLE_ROWS = 100_000
_RANKABLE = 30  # a level counted less often is among the top 100 by luck: its share would shrink later


@dataclass(frozen=True)
class Seen:
    """What some rows tell of where a column's bins may be: present numbers with their extremes, or rows per level.
    Rows that follow one another add up."""

    present: int = 0
    low: float = np.inf
    high: float = -np.inf
    levels: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Seen) -> Seen:
        present = self.present + other.present
        return Seen(present, min(self.low, other.low), max(self.high, other.high), self.levels + other.levels)


def reference_bins(frame: pd.DataFrame, kinds: Mapping[str, Kind], *, salt: str) -> Bins:
    """Bins of the columns of `kinds`; a column that cannot be read gets empty bins and breaks nothing.

    Up to 100 values have a bin each; of more, quantiles are taken from about 100,000 rows at most, chosen
    by a hash of `salt` and the row's position, so that the same frame and salt give the same bins
    anywhere. A value that is frequent enough to fill a quantile bin gets a bin of its own. The outer
    edges are the true extremes. Rows in parts give the same bins by way of `seen`, `sampled` and `bins_of`.
    """
    rows = len(frame)
    return Bins(
        {
            name: column_bins(read_cells(name, frame.get(name), kind, rows=rows), kind, salt=salt)
            for name, kind in kinds.items()
        }
    )


def column_bins(cells: Cells, kind: Kind, *, salt: str) -> FeatureBins:
    """Bins of the cells of one column."""
    found = _seen(cells, kind)
    if kind == "category":
        return _category_bins(found.levels)
    of = len(cells.present)
    return _numeric_bins(cells.present[_sampled(of, salt, 0, of, SAMPLE_ROWS)], found)


def seen(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> dict[str, Seen]:
    """By column: what the rows of a frame add to what is seen of all."""
    return {name: _seen(read_cells(name, frame.get(name), kind, rows=len(frame)), kind) for name, kind in kinds.items()}


def present_in(found: Mapping[str, Seen]) -> dict[str, int]:
    """By column: how many numbers are present."""
    return {name: each.present for name, each in found.items()}


def sampled(
    frame: pd.DataFrame,
    kinds: Mapping[str, Kind],
    before: Mapping[str, int],
    of: Mapping[str, int],
    *,
    salt: str,
    about: int | None = None,
) -> dict[str, Floats]:
    """By column of numbers: those of the frame that belong to the sample of `about` so many (SAMPLE_ROWS), where
    `before` are present in the rows ahead of them and `of` in all rows."""
    about = SAMPLE_ROWS if about is None else about
    found: dict[str, Floats] = {}
    for name in [name for name, kind in kinds.items() if kind == "number"]:
        present = read_cells(name, frame.get(name), "number", rows=len(frame)).present
        found[name] = present[_sampled(of[name], salt, before[name], len(present), about)]
    return found


def bins_of(kinds: Mapping[str, Kind], found: Mapping[str, Seen], sample: Mapping[str, Floats]) -> Bins:
    """Bins from what is seen of all rows and the sample of their numbers."""
    return Bins(
        {
            name: _numeric_bins(sample[name], found[name]) if kind == "number" else _category_bins(found[name].levels)
            for name, kind in kinds.items()
        }
    )


def _seen(cells: Cells, kind: Kind) -> Seen:
    if kind == "number":
        present = cells.present
        return Seen(len(present), float(present.min()), float(present.max())) if len(present) else Seen()
    levels, times = cells.levels
    counts = Counter(dict(zip(levels, times.tolist(), strict=True)))
    counts.pop("", None)
    return Seen(levels=counts)


def _numeric_bins(sample: Floats, all_rows: Seen) -> NumericBins:
    if not all_rows.present:
        return NumericBins(())
    low, high = all_rows.low, all_rows.high
    sample = np.sort(sample)
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


@lru_cache(maxsize=4)  # the columns of a frame mostly have as many numbers each
def _sampled(n: int, salt: str, start: int, size: int, about: int) -> NDArray[np.bool_]:
    """The rows whose mixed position is small enough: about so many of n, or all. Of those `size` from `start` on."""
    if n <= about:
        return np.ones(size, dtype=np.bool_)
    return mixed(np.arange(start, start + size, dtype=np.uint64), salt) < np.uint64(about * 2**64 // n)


def mixed(places: NDArray[np.uint64], salt: str) -> NDArray[np.uint64]:
    """A number without pattern for each of some places (n,), the same anywhere.

    Mixing is SplitMix64's finalizer (Steele, Lea and Flood, 2014).
    """
    salted = int.from_bytes(hashlib.blake2b(salt.encode(), digest_size=8).digest(), "big")
    found = places * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salted)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))


def _category_bins(counts: Mapping[str, int]) -> CategoryBins:
    ranked = sorted(counts, key=lambda level: (-counts[level], level))
    least = _RANKABLE if len(ranked) > MAX_BINS else 1
    kept = [level for level in ranked[:MAX_BINS] if counts[level] >= least and len(level) <= LONGEST_LEVEL]
    others = set(ranked) - set(kept)
    if len(others) > KNOWN_LEVELS:
        return CategoryBins(tuple(kept), open=True)
    once = sum(counts[level] == 1 for level in others)
    return CategoryBins(tuple(kept), frozenset(map(level_hash, others)), singletons=once)
