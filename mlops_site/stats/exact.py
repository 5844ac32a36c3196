"""Sums without rounding, so that adding, subtracting and recomputing agree to the last bit."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from mlops_site.stats.scored import Floats

_BLOCK = 1 << 14  # numbers that stay in a processor's cache
_LAST_PLACE = 1023  # 2 to the power of more is no float


def exact_sum(values: Floats) -> Fraction:
    """Sum of finite floats, shape (n,), without any rounding.

    Of each block the leading bits of every number are parted off at one common place, so that their sum is exact in
    any order, until nothing is left: ExtractVector of Rump, Ogita and Oishi (2008), Accurate floating-point summation
    part I, SIAM Journal on Scientific Computing 31.

    >>> exact_sum(np.array([1e16, 1.0, -1e16]))
    Fraction(1, 1)
    """
    total = Fraction(0)
    for start in range(0, len(values), _BLOCK):
        total += sum(map(Fraction, _parts(values[start : start + _BLOCK])), Fraction(0))
    return total


def _parts(block: Floats) -> Iterator[float]:
    """Floats with the exact sum of the block."""
    rest, bits = block.copy(), (len(block) + 2).bit_length()
    leading = np.empty_like(rest)
    while largest := max(float(rest.max()), -float(rest.min())):
        place = math.frexp(largest)[1] + bits
        if place > _LAST_PLACE:
            yield from rest.tolist()
            return
        common = math.ldexp(1.0, place)
        np.add(rest, common, out=leading)
        leading -= common
        rest -= leading
        yield float(leading.sum())


def read_fraction(text: str) -> Fraction:
    """A fraction from "3/4" or "3"; ValueError or ZeroDivisionError for any other text."""
    # Not Fraction(text): it would work out "1e999999999", for hours.
    top, _, bottom = text.partition("/")
    return Fraction(int(top), int(bottom or 1))


def sum_of_fractions(texts: Iterable[str]) -> Fraction:
    """Sum of what `read_fraction` would read, in whole numbers: denominators are powers of two mostly.

    >>> sum_of_fractions(["3/4", "3/4", "2"])
    Fraction(7, 2)
    """
    sums: defaultdict[str, int] = defaultdict(int)
    for text in texts:
        top, _, bottom = text.partition("/")
        sums[bottom] += int(top)
    numbers = [(int(bottom or 1), top) for bottom, top in sums.items()]
    common = math.lcm(*(bottom for bottom, _ in numbers))
    return Fraction(sum(top * (common // bottom) for bottom, top in numbers), common)


@dataclass(frozen=True)
class Moments:
    """Count, sum and sum of squares of the present numbers; they add and subtract exactly.

    `low` and `high` are the extremes ever added or subtracted (infinite the wrong way round for none):
    a correction cannot narrow them, so they take no part in equality.
    """

    count: int = 0
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)
    low: float = field(default=np.inf, compare=False)
    high: float = field(default=-np.inf, compare=False)

    @classmethod
    def of(cls, values: Floats) -> Moments:
        """Moments of finite numbers, shape (n,), below 1e150 in size."""
        if not len(values):
            return cls()
        low, high = float(values.min()), float(values.max())
        return cls(len(values), exact_sum(values), exact_sum(np.square(values)), low, high)

    def to_json(self, *, extremes: bool = True) -> list[Any]:
        """Count, total and squares as texts without rounding, then the extremes if there are any."""
        sums = [self.count, str(self.total), str(self.squares)]
        return [*sums, self.low, self.high] if extremes and self.low <= self.high else sums

    @classmethod
    def from_json(cls, fields: list[Any]) -> Moments:
        """The reverse of `to_json`; anything else raises ValueError, TypeError, ZeroDivisionError or OverflowError."""
        count, total, squares, *extremes = fields
        low, high = extremes or (np.inf, -np.inf)
        return cls(int(count), read_fraction(total), read_fraction(squares), float(low), float(high))

    @classmethod
    def sum_of_json(cls, parts: Iterable[list[Any]]) -> Moments:
        """Sum of what `from_json` would read, several times as fast."""
        count, low, high, totals, squares = 0, np.inf, -np.inf, [], []
        for fields in parts:
            count += int(fields[0])
            totals.append(fields[1])
            squares.append(fields[2])
            if fields[3:]:
                low, high = min(low, float(fields[3])), max(high, float(fields[4]))
        return cls(count, sum_of_fractions(totals), sum_of_fractions(squares), low, high)

    @property
    def mean(self) -> float | None:
        """Mean, or None without numbers (or for a correction, which may count less than none)."""
        return float(self.total / self.count) if self.count > 0 else None

    @property
    def variance(self) -> float | None:
        """Population variance, or None without numbers."""
        if self.count <= 0:
            return None
        return max(0.0, float(self.squares / self.count - (self.total / self.count) ** 2))

    def __add__(self, other: Moments) -> Moments:
        return self._with(other, 1)

    def __sub__(self, other: Moments) -> Moments:
        return self._with(other, -1)

    def _with(self, other: Moments, sign: int) -> Moments:
        return Moments(
            self.count + sign * other.count,
            self.total + sign * other.total,
            self.squares + sign * other.squares,
            min(self.low, other.low),
            max(self.high, other.high),
        )
