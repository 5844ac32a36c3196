"""Exact interventional Shapley values of a sum of decision trees, against a background of rows.

A leaf is reached by a mix of the row x and a background row z exactly if every test on the way to it holds for
whichever of the two its input is taken from. So a path asks of each input on it one of four things: x and z both
hold (it does not matter), only x holds (must be taken from x), only z holds (must not), neither (the leaf is out of
reach). With a inputs that must and c that must not, the leaf's value v is shared as v (a-1)! c! / (a+c)! to each of the
first and -v a! (c-1)! / (a+c)! to each of the second. Source: Lundberg et al. (2020), "From local explanations to
global understanding with explainable AI for trees", interventional TreeSHAP. The players are the inputs as callers know
them, not the prepared columns: a path's tests on the columns made of one input stand or fall together.

What holds for the background is one bit mask per leaf and row, made once; equal masks of a leaf are counted, not
kept. A row then takes passes over flat arrays: 15 ms for 100 trees of 450 leaves and 100 rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
MAX_INPUTS_ON_PATH = 64  # bits of a mask


class Tree(NamedTuple):
    """A binary tree as arrays over its nodes, the root first; a leaf has no children (-1) and a value. A row goes left
    where its column is at most the threshold, or is missing and `missing_left`."""

    column: NDArray[Any]
    threshold: Floats
    left: NDArray[Any]
    right: NDArray[Any]
    missing_left: NDArray[np.bool_]
    value: Floats


class TooDeep(Exception):
    """A path tests more inputs than a mask has bits."""


class _Level(NamedTuple):
    """Nodes of one depth: themselves, their parents, whether they are left children, the bit of the tested input."""

    nodes: Ints
    parents: Ints
    is_left: NDArray[np.bool_]
    bit: NDArray[Any]


class Leaves:
    """The leaves of an ensemble, ready to explain rows. `owner[j]` is the input that prepared column j is made of."""

    def __init__(self, trees: Sequence[Tree], owner: Sequence[int], background: Floats) -> None:
        self._players = max(owner) + 1
        self._join(trees)
        self._walk(trees, np.asarray(owner))
        self._keep_background(background)
        self._weights = _weights(int(self._sizes.max(initial=0)) + 1)

    def explain(self, row: Floats) -> Floats:
        """Contributions (players,) of the inputs of one prepared row (columns,)."""
        held = self._masks(row[np.newaxis])[self._leaf, 0] & self._full
        needed = self._full & ~held  # from the background, or the leaf is out of reach
        wanted = np.repeat(needed, self._counts)
        reached = np.flatnonzero((self._kept & wanted) == wanted)
        leaf = self._kept_leaf[reached]
        taken = held[leaf] & ~self._kept[reached]
        a, c = np.bitwise_count(taken), np.bitwise_count(needed)[leaf]
        value = self._share[reached] * self._value[leaf]
        gain, loss = self._weights
        given = value * gain[a, c]
        lost = np.bincount(leaf, value * loss[a, c], len(self._leaf))
        found = np.zeros(self._players)
        for place in range(self._path.shape[1]):
            bit = self._bits[place]
            on, out = np.flatnonzero(taken & bit), np.flatnonzero(needed & bit)
            found += np.bincount(self._path[leaf[on], place], given[on], self._players)
            found -= np.bincount(self._path[out, place], lost[out], self._players)
        return found

    def base(self) -> float:
        """The mean of the sum over the background."""
        everywhere = self._kept == np.repeat(self._full, self._counts)
        return float((self._share * self._value[self._kept_leaf])[everywhere].sum())

    def total(self, row: Floats) -> float:
        """The sum of the trees for one prepared row: what they answer, read from the same arrays."""
        held = self._masks(row[np.newaxis])[self._leaf, 0] & self._full
        return float(self._value[held == self._full].sum())

    @property
    def nbytes(self) -> int:
        """The memory that is held."""
        return sum(part.nbytes for part in vars(self).values() if isinstance(part, np.ndarray))

    def _join(self, trees: Sequence[Tree]) -> None:
        """All nodes in one numbering."""
        sizes = [len(tree.column) for tree in trees]
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
        self._roots = first
        sides = [
            np.concatenate([np.where(side >= 0, side + at, -1) for side, at in zip(part, first, strict=True)])
            for part in ([tree.left for tree in trees], [tree.right for tree in trees])
        ]
        self._left, self._right = sides[0].astype(np.intp), sides[1].astype(np.intp)
        self._inner = self._left >= 0
        column = np.concatenate([tree.column for tree in trees]).astype(np.intp)
        self._column = np.where(self._inner, column, 0)
        self._threshold = np.concatenate([tree.threshold for tree in trees])
        self._missing_left = np.concatenate([tree.missing_left for tree in trees])

    def _walk(self, trees: Sequence[Tree], owner: Ints) -> None:
        """Give each input on each path a place, a bit of the masks of that path, in the order in which it is met."""
        nodes = len(self._left)
        path = np.full((nodes, min(len(set(owner.tolist())), MAX_INPUTS_ON_PATH)), -1, np.int32)
        size, places = np.zeros(nodes, np.int16), []
        current = self._roots
        while len(current := current[self._inner[current]]):
            parents = np.concatenate([current, current])
            children = np.concatenate([self._left[current], self._right[current]])
            asked = owner[self._column[parents]]
            met = path[parents] == asked[:, np.newaxis]
            is_met = met.any(axis=1)
            place = np.where(is_met, met.argmax(axis=1), size[parents])
            if place.max() >= path.shape[1]:
                raise TooDeep(f"a path must test at most {MAX_INPUTS_ON_PATH} inputs but tests more")
            path[children] = path[parents]
            path[children, place] = asked
            size[children] = size[parents] + ~is_met
            places.append((children, parents, np.arange(len(parents)) < len(current), place))
            current = children
        value = np.concatenate([tree.value for tree in trees])
        self._leaf = np.flatnonzero(~self._inner & (value != 0))  # a leaf of nothing gives nothing to anybody
        self._value, self._sizes = value[self._leaf], size[self._leaf].astype(np.intp)
        longest = int(self._sizes.max(initial=0))
        self._path = path[self._leaf][:, :longest]
        self._word = np.uint16 if longest <= 16 else np.uint32 if longest <= 32 else np.uint64
        self._bits = np.array([1 << place for place in range(longest)], self._word)
        full = [(1 << count) - 1 for count in range(longest + 1)]
        self._full = np.array(full, np.uint64).astype(self._word)[self._sizes]
        one = self._word(1)
        self._levels = [_Level(c, p, left, one << at.astype(self._word)) for c, p, left, at in places]

    def _masks(self, rows: Floats) -> NDArray[Any]:
        """For each node and row (nodes, rows): a bit for each input on the way there whose tests all hold."""
        asked = np.ascontiguousarray(rows[:, self._column].T)
        missing = np.isnan(asked) & self._missing_left[:, np.newaxis]
        goes_left = (asked <= self._threshold[:, np.newaxis]) | missing
        every = np.iinfo(self._word).max
        masks = np.full(goes_left.shape, every, self._word)
        for level in self._levels:
            holds = goes_left[level.parents] == level.is_left[:, np.newaxis]
            masks[level.nodes] = masks[level.parents] & np.where(holds, self._word(every), ~level.bit[:, np.newaxis])
        return masks

    def _keep_background(self, rows: Floats) -> None:
        """Each leaf's different masks over the background, and the share of its rows that has each."""
        per_leaf = [self._masks(part)[self._leaf] for part in np.array_split(rows, max(1, len(rows) // 50))]
        ordered = np.sort(np.concatenate(per_leaf, axis=1) & self._full[:, np.newaxis], axis=1)
        is_new = np.ones(ordered.shape, bool)
        is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        self._counts = is_new.sum(axis=1)
        self._kept = ordered[is_new]
        self._kept_leaf = np.repeat(np.arange(len(self._leaf), dtype=np.int32), self._counts)
        places = np.append(np.flatnonzero(is_new.ravel()), ordered.size)
        self._share = np.diff(places) / len(rows)


def _weights(longest: int) -> tuple[Floats, Floats]:
    """What an input that must come from the row, and one that must not, gets of a leaf, by how many there are of both:
    `gain[a, c]` and `loss[a, c]`."""
    gain, loss = np.zeros((longest + 1, longest + 1)), np.zeros((longest + 1, longest + 1))
    for a in range(longest + 1):
        for c in range(longest + 1 - a):
            if a:
                gain[a, c] = 1.0 / (a * math.comb(a + c, c))
            if c:
                loss[a, c] = 1.0 / (c * math.comb(a + c, a))
    return gain, loss
