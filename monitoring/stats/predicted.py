"""What a version answers, as shares of pieces few enough to be read: scores, classes or values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.distributions import CELLS, LEVELS, plain_text, rounded_up
from mlops_site.stats.scored import Floats
from monitoring.stats.layout import FINE, value_edges
from monitoring.stats.scores import score_cells
from monitoring.stats.shape import Shape

Kind = Literal["score", "class", "value"]
MIDDLE = 0.01  # of the answers on either side that the cells between the outermost ones leave out


class Predicted(NamedTuple):
    """Shares of the answers in each piece; of the holdout at registration, of the window before, and of the window.
    The first two are None where there is nothing to compare with; `rows` are the answers of the window in it. `ticks`
    are places on an axis on which piece i lies at i."""

    kind: Kind
    pieces: list[str]
    ticks: list[tuple[float, str]]
    reference: list[float] | None
    before: list[float] | None
    window: list[float]
    rows: int

    @property
    def table(self) -> list[tuple[str, float | None, float | None, float]]:
        """(piece, share of the reference, of the window before, of the window)."""
        none = [None] * len(self.pieces)
        return list(zip(self.pieces, self.reference or none, self.before or none, self.window, strict=True))


class Sides(NamedTuple):
    """Counts of one kind of all three: bins of scores, classes by their places, or fine bins of values."""

    reference: Counts | None
    before: Counts
    window: Counts


def predicted(kind: Kind, sides: Sides, shape: Shape) -> Predicted | None:
    """None where nothing was answered in the window that can be counted so."""
    if not sides.window.sum():
        return None
    shares = [None if side is None or not side.sum() else side / side.sum() for side in sides]
    given = [side for side in shares if side is not None]
    if kind == "class":
        pieces = _classes([str(each) for each in shape.classes], given)
    else:
        pieces = _scores() if kind == "score" else _values(given)
    reference, before, window = (None if side is None else pieces.spread(side).tolist() for side in shares)
    return Predicted(kind, pieces.names, pieces.ticks, reference, before, window or [], int(sides.window.sum()))


class _Pieces(NamedTuple):
    """Their names and ticks, and what makes shares by count into shares by piece."""

    names: list[str]
    ticks: list[tuple[float, str]]
    spread: Callable[[Floats], Floats]


def _scores() -> _Pieces:
    names, ticks = score_cells()
    return _Pieces(names, ticks, lambda shares: shares.reshape(len(names), -1).sum(axis=1))


def _classes(classes: Sequence[str], given: Sequence[Floats]) -> _Pieces:
    """All of up to 12 classes, else the 11 most frequent on either side and the rest together."""
    if len(classes) <= LEVELS + 1:
        return _Pieces(list(classes), _ticks(classes), lambda shares: shares)
    by_size = np.argsort(-np.max(given, axis=0), kind="stable")
    shown, hidden = np.sort(by_size[:LEVELS]), by_size[LEVELS:]
    names = [*(classes[place] for place in shown), f"{len(hidden)} others"]
    return _Pieces(names, _ticks(names), lambda shares: np.append(shares[shown], shares[hidden].sum()))


def _ticks(names: Sequence[str]) -> list[tuple[float, str]]:
    return [(float(place), name) for place, name in enumerate(names)]


def _values(given: Sequence[Floats]) -> _Pieces:
    """Cells of equal width over the middle 98 % of all sides together, or the bins themselves where they are few; the
    first and the last piece hold all that lies beyond."""
    edges = _edges(given)
    reached = np.cumsum(np.mean(given, axis=0))
    first, last = (int(np.searchsorted(reached, share)) for share in (MIDDLE, 1 - MIDDLE))
    grid = edges[first : last + 2]
    if len(grid) - 1 > CELLS:
        width = rounded_up(float(grid[-1] - grid[0]) / CELLS)
        grid = np.arange(math.floor(grid[0] / width), math.ceil(grid[-1] / width) + 1) * width
    texts = [plain_text(float(edge)) for edge in grid]
    names = [f"below {texts[0]}", *(f"{low} to {high}" for low, high in pairwise(texts)), f"from {texts[-1]}"]
    step = max(1, (len(grid) - 1) // 5)
    ticks = [(place + 0.5, text) for place, text in enumerate(texts) if place % step == 0]

    def spread(shares: Floats) -> Floats:
        """Within a bin the mass is spread evenly."""
        up_to = np.interp(grid, edges, np.concatenate([[0.0], np.cumsum(shares)]))
        return np.diff(np.concatenate([[0.0], up_to, [1.0]])).clip(0.0)

    return _Pieces(names, ticks, spread)


def _edges(given: Sequence[Floats]) -> Floats:
    """Of the bins; where nothing is negative, that of nought begins at nought."""
    edges = value_edges(FINE).copy()
    side = len(edges) // 2 - 1
    if not any(shares[:side].any() for shares in given):
        edges[side] = 0.0
    return edges
