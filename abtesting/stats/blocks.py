"""Errors of two models summed in blocks of units: what a bootstrap of their means needs, without the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from abtesting.stats.assignment import place
from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import exact_sum
from mlops_site.stats.scored import Floats

BLOCKS = 64


def block_of(salt: str, unit_id: str) -> int:
    """The block of a unit, which is independent of its arm: all its claims are in it, so that what they have in common
    is drawn together.

    >>> block_of("claims-7", "person-12")
    22
    """
    return int(place(salt, "block", unit_id) * BLOCKS)


class Exact(NamedTuple):
    """Sums by block, shape (BLOCKS,): whole numbers in units of 2 ** -power, the smallest power that holds them."""

    power: int
    whole: tuple[int, ...]

    @classmethod
    def of(cls, values: Floats, block: Counts) -> Exact:
        """Of finite numbers, each with its block."""
        order = np.argsort(block, kind="stable")
        own, first = np.unique(block[order], return_index=True)
        sums = [exact_sum(part) for part in np.split(values[order], first[1:])] if len(values) else []
        power = max((each.denominator.bit_length() - 1 for each in sums), default=0)
        whole = [0] * BLOCKS
        for at, each in zip(own.tolist(), sums, strict=True):
            whole[at] = int(each * 2**power)
        return cls(power, tuple(whole))

    @classmethod
    def sum_of_json(cls, parts: Iterable[Sequence[int]]) -> Exact:
        """Sum of [power, *whole] each, several times as fast as one by one; ValueError for another length."""
        by_power: dict[int, list[Sequence[int]]] = defaultdict(list)
        for power, *whole in parts:
            if power < 0 or len(whole) != BLOCKS:
                raise ValueError(f"sums must be of {BLOCKS} blocks but got {len(whole)} in units of 2 ** -{power}")
            by_power[power].append(whole)
        most = max(by_power, default=0)
        sums = [[sum(column) << (most - power) for column in zip(*own, strict=True)] for power, own in by_power.items()]
        return cls(most, tuple(map(sum, zip(*sums, strict=True))) or (0,) * BLOCKS).reduced()

    def plus(self, other: Exact, sign: int = 1) -> Exact:
        power = max(self.power, other.power)
        one, two = power - self.power, power - other.power
        parts = zip(self.whole, other.whole, strict=True)
        return Exact(power, tuple((own << one) + sign * (more << two) for own, more in parts)).reduced()

    def reduced(self) -> Exact:
        """The same sums by the smallest power, so that equal sums are equal bytes."""
        used = 0
        for each in self.whole:
            used |= each
        spare = min(self.power, (used & -used).bit_length() - 1) if used else self.power
        return Exact(self.power - spare, tuple(each >> spare for each in self.whole)) if spare else self

    def floats(self) -> Floats:
        unit = 2**self.power
        return np.array([each / unit for each in self.whole])


@dataclass(frozen=True, eq=False)
class Blocks:
    """Judged claims by block, shape (BLOCKS,), and the sums of their errors by name. A group under `+` and `-`."""

    counts: Counts
    sums: Mapping[str, Exact]

    @classmethod
    def of(cls, block: Counts, errors: Mapping[str, Floats]) -> Blocks:
        """Of n claims, each with its block from 0 to BLOCKS - 1, and their errors, each of shape (n,)."""
        if len(block) and not 0 <= block.min() <= block.max() < BLOCKS:
            raise ValueError(f"blocks must be from 0 to {BLOCKS - 1} but got {block.min()} to {block.max()}")
        sums = {name: Exact.of(own, block) for name, own in errors.items()}
        return cls(np.bincount(block, minlength=BLOCKS).astype(np.int64), sums)

    def to_json(self) -> dict[str, list[int]]:
        """The sums; the counts are kept with those of the tally."""
        return {name: [own.power, *own.whole] for name, own in self.sums.items()}

    @classmethod
    def sum_of_json(cls, counts: Counts, parts: Sequence[Mapping[str, list[int]]], names: Iterable[str]) -> Blocks:
        """Sum of what `to_json` wrote, with the counts of all. KeyError, TypeError or ValueError for anything else."""
        if len(counts) != BLOCKS:
            raise ValueError(f"blocks must be {BLOCKS} but got {len(counts)}")
        return cls(counts, {name: Exact.sum_of_json(each[name] for each in parts) for name in names})

    def plus(self, other: Blocks, sign: int = 1) -> Blocks:
        sums = {name: own.plus(other.sums[name], sign) for name, own in self.sums.items()}
        return Blocks(self.counts + sign * other.counts, sums)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Blocks):
            return NotImplemented
        return np.array_equal(self.counts, other.counts) and self.sums == other.sums
