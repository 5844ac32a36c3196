"""Shapley values of a set function: how a total is shared among players by what each adds to the others.

Source: Shapley (1953); sampling by permutations after Castro, Gómez and Tejada (2009), each permutation followed by
its reverse (antithetic), which cancels most of what only the order decides.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
Value = Callable[[Masks], Floats]
"""Coalitions (m, d), True where a player takes part, to what each is worth (m,)."""

MAX_ENUMERATED = 16  # players; beyond it the coalitions alone fill the memory

SURE_FROM = 10  # pairs; the first two often agree by chance


class Shares(NamedTuple):
    """`base` is what nobody together is worth; `values` (d,) sum to the worth of all less `base`. `errors` (d,) are
    standard errors, zero where nothing was sampled; `pairs` counts permutations with their reverse."""

    base: float
    values: Floats
    errors: Floats
    pairs: int


def enumerated(value: Value, players: int) -> Shares:
    """The exact values, from all 2 ** d coalitions.

    >>> enumerated(lambda masks: masks @ np.array([1.0, 2.0]), 2).values.tolist()
    [1.0, 2.0]
    """
    if not 1 <= players <= MAX_ENUMERATED:
        raise ValueError(f"players must be 1 to {MAX_ENUMERATED} to be enumerated but got {players}")
    codes = np.arange(1 << players)
    masks = (codes[:, np.newaxis] >> np.arange(players) & 1).astype(bool)
    worth = value(masks)
    sizes = masks.sum(axis=1)
    weights = np.array([1.0 / (players * math.comb(players - 1, size)) for size in range(players)])
    shares = np.empty(players)
    for player in range(players):
        without = codes[~masks[:, player]]
        shares[player] = (weights[sizes[without]] * (worth[without | 1 << player] - worth[without])).sum()
    return Shares(float(worth[0]), shares, np.zeros(players), 0)


def sampled(
    value: Value, players: int, *, pairs: int, secs: float = math.inf, tolerance: float = 0.0, seed: int = 0
) -> Shares:
    """Estimates from up to `pairs` random orders and their reverses, at least two. It ends before `secs` have passed,
    as far as the time of the pairs before says, or once every standard error is within `tolerance`.

    However few the samples, the values sum to the worth of all less `base`: each order shares all of it out.
    """
    random, started = np.random.default_rng(seed), time.perf_counter()
    found: list[Floats] = []
    base = 0.0
    while len(found) < max(pairs, 2):
        if len(found) >= 2:
            spent = time.perf_counter() - started
            is_sure = len(found) >= SURE_FROM and _errors(found).max() <= tolerance
            if is_sure or spent * (len(found) + 1) / len(found) > secs:
                break
        order = random.permutation(players)
        base, pair = _shared_out(value, order)
        found.append(pair)
    return Shares(base, np.mean(found, axis=0), _errors(found), len(found))


def _shared_out(value: Value, order: NDArray[np.intp]) -> tuple[float, Floats]:
    """What each player adds when they come in this order, averaged with the reverse order; and the base."""
    players = len(order)
    joined = np.tri(players + 1, players, -1, dtype=bool)  # row i: the first i of an order take part
    masks = np.empty((2, players + 1, players), dtype=bool)
    masks[0][:, order] = joined
    masks[1][:, order[::-1]] = joined
    worth = value(masks.reshape(-1, players)).reshape(2, players + 1)
    added = np.diff(worth, axis=1)
    shares = np.empty(players)
    shares[order] = (added[0] + added[1][::-1]) / 2
    return float(worth[0, 0]), shares


def _errors(found: list[Floats]) -> Floats:
    return np.asarray(np.std(found, axis=0, ddof=1) / math.sqrt(len(found)), np.float64)
