"""Fixed bins of a reference, on which every later window is counted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.stats.cells import Cells
from mlops_site.stats.columns import Kind
from mlops_site.stats.scored import Floats

MAX_BINS = 100
KNOWN_LEVELS = 10_000
LONGEST_LEVEL = 200

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class NumericBins:
    """Bins of a number: (e0, e1], (e1, e2], ..., the first closed below; empty if all was missing.

    Equal first edges make a first bin of one value, so few distinct values have a bin each. Counts are
    [below, bins..., above, missing, unreadable].
    """

    edges: tuple[float, ...]
    kind: ClassVar[Kind] = "number"

    def __post_init__(self) -> None:
        if len(self.edges) > MAX_BINS + 1 or len(self.edges) == 1 or not np.isfinite(self.edges).all():
            raise ValueError(f"edges must be none or 2 to {MAX_BINS + 1} finite numbers but got {self.edges}")
        if (np.diff(self.edges) < 0).any() or (np.diff(self.edges[1:]) == 0).any():
            raise ValueError(f"edges must rise but got {self.edges}")

    @property
    def width(self) -> int:
        """Number of counts."""
        return max(len(self.edges) - 1, 0) + 4

    @cached_property
    def _cuts(self) -> Floats:
        # The value next below e0 ends "below", which closes the first bin without a second search.
        return np.array([np.nextafter(self.edges[0], -np.inf), *self.edges[1:]] if self.edges else [])

    def places(self, values: Floats) -> Counts:
        """Which count each of n canonical numbers falls into, shape (n,)."""
        found = np.searchsorted(self._cuts, values, side="left") if self.edges else np.ones(len(values))
        return np.where(np.isnan(values), self.width - 2, found).astype(np.int64)

    def count(self, cells: Cells) -> Counts:
        """Counts of numbers."""
        present = len(cells.ordered)
        below = np.searchsorted(cells.ordered, self._cuts, side="right")  # sorting is faster than looking each up
        regular = np.diff(below, prepend=0, append=present)
        if not self.edges:
            regular = np.array([0, present])  # below, above: without a bin all is above
        return np.append(regular, [len(cells.values) - present, cells.unreadable]).astype(np.int64)


@dataclass(frozen=True)
class CategoryBins:
    """Bins of a category: up to 100 levels; the reference's other levels together; unseen; missing.

    "Other" and "unseen" are told apart by 32-bit hashes of the reference's other levels (`rest`), up to
    10,000. Beyond that the vocabulary is `open` (names, codes of a whole catalogue): new levels are then
    normal, and whatever has no bin counts as other. `singletons` is the number of other levels that the
    reference holds once, which says how much unseen to expect (see `compare`). Counts are
    [levels..., other, unseen, missing, unreadable].
    """

    levels: tuple[str, ...]
    rest: frozenset[int] = frozenset()
    open: bool = False
    singletons: int = 0
    kind: ClassVar[Kind] = "category"

    def __post_init__(self) -> None:
        if len(self.levels) > MAX_BINS or len(set(self.levels)) < len(self.levels) or "" in self.levels:
            raise ValueError(f"levels must be up to {MAX_BINS} different texts but got {self.levels}")
        if len(self.rest) > KNOWN_LEVELS:
            raise ValueError(f"rest must hold up to {KNOWN_LEVELS} hashes but got {len(self.rest)}")

    @property
    def width(self) -> int:
        """Number of counts."""
        return len(self.levels) + 4

    @cached_property
    def _slots(self) -> dict[str, int]:
        return {level: slot for slot, level in enumerate(self.levels)} | {"": len(self.levels) + 2}

    def _slot(self, level: str) -> int:
        known = self._slots.get(level)
        if known is not None:
            return known
        return len(self.levels) + (0 if self.open or level_hash(level) in self.rest else 1)

    def places(self, values: Any) -> Counts:
        """Which count each of n canonical texts ("" for missing) falls into, shape (n,)."""
        codes, levels = pd.factorize(values)
        slots = np.array([self._slot(level) for level in levels], dtype=np.int64)
        found: Counts = slots[codes]
        return found

    def count(self, cells: Cells) -> Counts:
        """Counts of texts."""
        levels, times = cells.levels
        slots = np.array([self._slot(level) for level in levels], dtype=np.int64)
        counts = np.bincount(slots, weights=times, minlength=self.width).astype(np.int64)
        counts[-1] = cells.unreadable
        return counts


FeatureBins = NumericBins | CategoryBins


@dataclass(frozen=True)
class Bins:
    """The bins of every feature, by name and in order. Treat the mapping as read-only."""

    features: Mapping[str, FeatureBins]

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each feature's counts lie in the one array of a profile."""
        ends = np.cumsum([feature.width for feature in self.features.values()]).tolist()
        return {
            name: slice(end - feature.width, end)
            for (name, feature), end in zip(self.features.items(), ends, strict=True)
        }

    @cached_property
    def starts(self) -> Counts:
        """Where each feature's counts begin."""
        return np.array([part.start for part in self.slices.values()], dtype=np.int64)

    @cached_property
    def width(self) -> int:
        """Number of counts of all features."""
        return sum(feature.width for feature in self.features.values())

    @cached_property
    def digest(self) -> str:
        """sha256 of the bins, in hexadecimal; equal for equal bins only."""
        text = json.dumps(self.as_json(), separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_json(self) -> list[list[Any]]:
        """Plain lists, one a feature: name, kind and content."""
        return [[name, bins.kind, *_content(bins)] for name, bins in self.features.items()]

    @classmethod
    def from_json(cls, data: Any) -> Bins:
        """The reverse of `as_json`; anything else raises ValueError, TypeError or KeyError."""
        features: dict[str, FeatureBins] = {}
        for name, kind, *content in data:
            if kind == "number":
                features[str(name)] = NumericBins(tuple(float(edge) for edge in content[0]))
            else:
                levels, rest, is_open, singletons = content
                known = frozenset(int(value) for value in rest)
                features[str(name)] = CategoryBins(tuple(map(str, levels)), known, bool(is_open), int(singletons))
        return cls(features)


def _content(bins: FeatureBins) -> list[Any]:
    if isinstance(bins, NumericBins):
        return [list(bins.edges)]
    return [list(bins.levels), sorted(bins.rest), bins.open, bins.singletons]


def level_hash(level: str) -> int:
    """32 bits of a level; an unseen one collides with one of 10,000 others in 1 of 430,000 cases."""
    short = hashlib.blake2b(level.encode(errors="surrogatepass"), digest_size=4)
    return int.from_bytes(short.digest(), "big")
