"""Which arm a unit belongs to: a pure function of texts, so that it needs no storage and anybody can repeat it.

A unit's place is a number in [0, 1) with 52 bits: the first 13 hexadecimal digits of SHA-256 over the UTF-8 text
"SALT/DRAW/UNIT", read as a whole number and divided by 16 ** 13. In SQL (PostgreSQL) it is

    ('x' || left(encode(sha256(convert_to(salt || '/' || draw || '/' || unit, 'UTF8')), 'hex'), 13))::bit(52)::bigint
        ::float8 / 4503599627370496

With a holdout, a unit whose place under the draw "holdout" is below the holdout's share takes no part in any epoch.
Of all others, those whose place under the number of the draw is below B's share are in B, the rest in A.

Every change of the split opens an epoch, and tallies are kept by epoch. Whether units are drawn anew depends on the
change. B's share grows (the steps of a ramp): the draw stays, so that only the bound moves, nobody leaves B and who
moves from A to B is the share that was added. It shrinks, or somebody asks for it: the epoch's own number becomes the
draw, which is independent of all draws before it, so that what units have seen earlier is spread over both arms alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.scored import Floats

Arm = Literal["a", "b", "holdout"]

RAMP = (0.01, 0.05, 0.10, 0.25, 0.50, 1.0)
_SALT = re.compile(r"[A-Za-z0-9_.:-]{1,100}")  # without "/", so that no two pairs of salt and unit give one text
_PLACES = 16**13


@dataclass(frozen=True)
class Split:
    """How units are dealt in one epoch. `share_b` is B's share of the units that are not held out, in (0, 1];
    `holdout` the share of all units that takes no part, in [0, 1); `draw` the epoch in which they were last drawn."""

    salt: str
    share_b: float
    holdout: float = 0.0
    epoch: int = 1
    draw: int = 1

    def __post_init__(self) -> None:
        if not _SALT.fullmatch(self.salt):
            raise ValueError(f'salt must be 1 to 100 letters, digits or any of "_.:-" but got {self.salt!r}')
        if not 0 < self.share_b <= 1:
            raise ValueError(f"share_b must be above 0 and at most 1 but got {self.share_b}")
        if not 0 <= self.holdout < 1:
            raise ValueError(f"holdout must be at least 0 and below 1 but got {self.holdout}")
        if not 1 <= self.draw <= self.epoch:
            raise ValueError(f"draw must be an epoch from 1 to {self.epoch} but got {self.draw}")

    def changed(self, share_b: float, *, redraw: bool = False) -> Split:
        """The split of the next epoch; the units are drawn anew if B's share shrinks, or if it is asked for.

        >>> Split("claims-7", 0.05).changed(0.10)
        Split(salt='claims-7', share_b=0.1, holdout=0.0, epoch=2, draw=1)
        """
        epoch = self.epoch + 1
        draw = epoch if redraw or share_b < self.share_b else self.draw
        return Split(self.salt, share_b, self.holdout, epoch, draw)


def place(salt: str, draw: int | str, unit_id: str) -> float:
    """Where a unit lies in [0, 1).

    >>> from hashlib import sha256
    >>> int(sha256(b"claims-7/1/person-12").hexdigest()[:13], 16) / 16**13 == place("claims-7", 1, "person-12")
    True
    """
    return (int.from_bytes(_digest(f"{salt}/{draw}/", unit_id), "big") >> 4) / _PLACES


def assign(split: Split, unit_id: str) -> Arm:
    """The arm of a unit: the same for the same split, anywhere and for ever.

    ValueError for an empty unit id, or one that is no text that UTF-8 can hold (half a surrogate pair).

    >>> [assign(Split("claims-7", 0.5), unit) for unit in ("1001", "1005", "1007")]
    ['a', 'b', 'b']
    """
    if split.holdout and place(split.salt, "holdout", unit_id) < split.holdout:
        return "holdout"
    return "b" if place(split.salt, split.draw, unit_id) < split.share_b else "a"


def assign_all(split: Split, unit_ids: Iterable[str]) -> NDArray[np.str_]:
    """The arms of n units, shape (n,): what `assign` says of each, in a third of the time."""
    units = list(unit_ids)
    arms = np.where(_places(split, split.draw, units) < split.share_b, "b", "a").astype("<U7")
    if split.holdout:
        arms[_places(split, "holdout", units) < split.holdout] = "holdout"
    return arms


def seen_in_both(unit_ids: Iterable[str], arms: Iterable[str]) -> list[str]:
    """Units that were answered by both arms, sorted. Give the rows of one epoch: a growing share moves units from A
    to B between epochs.

    >>> seen_in_both(["x", "y", "x"], ["a", "b", "b"])
    ['x']
    """
    seen: dict[str, set[str]] = {"a": set(), "b": set()}
    for unit, arm in zip(unit_ids, arms, strict=True):
        if arm in seen:
            seen[arm].add(unit)
    return sorted(seen["a"] & seen["b"])


def next_step(share_b: float, steps: tuple[float, ...] = RAMP) -> float | None:
    """The step of a ramp after `share_b`; None after the last.

    >>> next_step(0.10), next_step(1.0)
    (0.25, None)
    """
    return next((step for step in steps if step > share_b), None)


def _places(split: Split, draw: int | str, units: list[str]) -> Floats:
    prefix = f"{split.salt}/{draw}/"
    padded = b"".join(b"\0" + _digest(prefix, unit) for unit in units)
    places: Floats = (np.frombuffer(padded, dtype=">u8") >> np.uint64(4)) / np.float64(_PLACES)
    return places


def _digest(prefix: str, unit_id: str) -> bytes:
    """The first 56 bits, of which 52 are used."""
    if not isinstance(unit_id, str):
        # A column of whole numbers with a gap holds 7.0 for 7, which is another text: whoever has numbers writes them.
        raise TypeError(f"unit_id must be text but got {unit_id!r}")
    if not unit_id:
        raise ValueError("unit_id must not be empty")
    return sha256((prefix + unit_id).encode()).digest()[:7]
