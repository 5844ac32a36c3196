"""A feature of the reference and of a window side by side, in pieces few enough to be read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mlops_site.stats.bins import CategoryBins, Counts, NumericBins
from mlops_site.stats.columns import Kind
from mlops_site.stats.profile import Profile
from mlops_site.stats.scored import Floats

CELLS = 24
LEVELS = 11
ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 10)


class Distribution(NamedTuple):
    """Shares of all rows in each piece, on both sides; each side sums to 1. `ticks` are places on an axis on which
    piece i lies at i, with their labels."""

    feature: str
    kind: Kind
    pieces: list[str]
    reference: list[float]
    window: list[float]
    ticks: list[tuple[float, str]]

    @property
    def rows(self) -> list[tuple[str, float, float]]:
        """(piece, share of the reference, share of the window)."""
        return list(zip(self.pieces, self.reference, self.window, strict=True))


def distribution(window: Profile, reference: Profile, name: str) -> Distribution:
    """Of one feature of two profiles on the same bins, both with rows; ValueError for an unknown name.

    A number with many values is shown in up to 24 cells of equal width over the middle 98 % of the reference; the first
    and the last cell hold all that lies beyond. A category is shown by its most frequent levels.
    """
    bins = reference.bins.features.get(name)
    if bins is None:
        raise ValueError(f"name must be a feature of the profiles but got {name!r}")
    shares = [_shares(side.counts_of(name)) for side in (reference, window)]
    if isinstance(bins, CategoryBins):
        return _levels(name, bins, *shares)
    return _values(name, bins, *shares) if len(bins.edges) <= CELLS + 1 else _cells(name, bins, *shares)


def _shares(counts: Counts) -> Floats:
    found: Floats = counts / max(int(counts.sum()), 1)
    return found


def _levels(name: str, bins: CategoryBins, reference: Floats, window: Floats) -> Distribution:
    levels = len(bins.levels)
    by_size = np.argsort(-np.maximum(reference, window)[:levels], kind="stable")
    shown = sorted(by_size[:LEVELS].tolist())
    hidden = sorted(by_size[LEVELS:].tolist())
    rest = [("other", [*hidden, levels]), ("unseen", [levels + 1]), *_gaps(levels + 2)]
    groups = [(bins.levels[level], [level]) for level in shown] + rest
    return _pieces(name, bins.kind, groups, reference, window, len(shown))


def _values(name: str, bins: NumericBins, reference: Floats, window: Floats) -> Distribution:
    """Few bins, which are mostly single values: each is a piece."""
    edges, count = bins.edges, max(len(bins.edges) - 1, 0)
    groups = [(_range_text(*edges[i : i + 2]), [i + 1]) for i in range(count)]
    ends = [("below", [0]), *groups, ("above", [count + 1]), *_gaps(count + 2)]
    return _pieces(name, bins.kind, ends, reference, window, count, kept=range(1, count + 1))


def _gaps(first: int) -> list[tuple[str, list[int]]]:
    return [("missing", [first]), ("unreadable", [first + 1])]


def _pieces(
    name: str,
    kind: Kind,
    groups: list[tuple[str, list[int]]],
    reference: Floats,
    window: Floats,
    count: int,
    *,
    kept: Sequence[int] | None = None,
) -> Distribution:
    """The groups of counts as pieces; those beyond the named ones only where a side has some."""
    kept = range(count) if kept is None else kept
    summed = [(text, float(reference[at].sum()), float(window[at].sum())) for text, at in groups]
    rows = [row for place, row in enumerate(summed) if place in kept or row[1] or row[2]]
    ticks = [(float(place), row[0]) for place, row in enumerate(rows)]
    return Distribution(name, kind, [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], ticks)


def _cells(name: str, bins: NumericBins, reference: Floats, window: Floats) -> Distribution:
    grid = _grid(bins.edges)
    sides = [_on_grid(side, bins.edges, grid) for side in (reference, window)]
    inner = [_range_text(low, high) for low, high in pairwise(grid)]
    pieces = [f"up to {plain_text(grid[0])}", *inner, f"above {plain_text(grid[-1])}"]
    step = max(1, len(inner) // 5)
    ticks = [(i + 0.5, plain_text(edge)) for i, edge in enumerate(grid) if i % step == 0]
    for offset, gap in enumerate(("missing", "unreadable")):
        gaps = [float(side[len(bins.edges) + 1 + offset]) for side in (reference, window)]
        if any(gaps):
            ticks.append((float(len(pieces)), gap))
            pieces.append(gap)
            for side, share in zip(sides, gaps, strict=True):
                side.append(share)
    return Distribution(name, bins.kind, pieces, sides[0], sides[1], ticks)


def _grid(edges: Sequence[float]) -> list[float]:
    """Edges of cells of equal width over the bins but the outermost; whole ones where all edges are."""
    cut = max(1, len(edges) // 100)
    low, high = edges[cut], edges[-1 - cut]
    width = rounded_up((high - low) / CELLS)
    if all(edge == int(edge) for edge in edges):
        width = max(1.0, float(np.ceil(width)))
    first, last = int(np.floor(low / width)), int(np.ceil(high / width))
    return [step * width for step in range(first, last + 1)]


def rounded_up(width: float) -> float:
    """To a few plain multiples of a power of ten, so that a reader can take in the edges.

    >>> rounded_up(0.22), rounded_up(2104), rounded_up(7.0)
    (0.25, 2500.0, 10.0)
    """
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(factor * power for factor in ROUND if factor * power >= width * (1 - 1e-9)))


def _on_grid(shares: Floats, edges: Sequence[float], grid: list[float]) -> list[float]:
    """Shares up to the grid, in its cells, and beyond; within a bin the mass is spread evenly."""
    unit = 1.0 if all(edge == int(edge) for edge in edges) else 1e-9 * max(1.0, abs(edges[0]))
    starts = [edges[0] - unit, *edges[1:]]
    below = np.cumsum(shares[: len(edges)])  # up to each edge, what lies below the first included
    reached = np.interp(grid, starts, below).tolist()
    total = float(shares[: len(edges) + 1].sum())
    return [max(0.0, after - before) for before, after in zip([0.0, *reached], [*reached, total], strict=True)]


def _range_text(low: float, high: float) -> str:
    whole = low == int(low) and high == int(high)
    if low == high or (whole and high - low == 1):
        return plain_text(high)
    return f"{plain_text(low + 1 if whole else low)} to {plain_text(high)}"


def plain_text(value: float) -> str:
    """A number of up to four places, as a reader takes it in.

    >>> plain_text(12000.0), plain_text(0.123456), plain_text(-3.0)
    ('12,000', '0.1235', '−3')
    """
    written = f"{int(value):,}" if value == int(value) and abs(value) < 1e9 else f"{value:,.4g}"
    return written.replace("-", "−")
