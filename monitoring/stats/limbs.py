"""Sums of floats as whole numbers, so that an array of them adds and subtracts without rounding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.scored import Floats

SHIFTS = (90, 60, 30, 0)  # of a unit over the smallest one, as powers of two
FINEST = 50
UNITS = tuple(2.0 ** (shift - FINEST) for shift in SHIFTS)
LIMBS = len(UNITS)
LARGEST = 2.0**40  # of a value whose square is added too


def limbs(values: Floats) -> Counts:
    """Each of n floats below 2**80 in size as LIMBS whole numbers of UNITS, rounded to 2**-50 (9e-16). Shape (n, 4).

    >>> float(whole(limbs(np.array([1e12, 0.5, -1e12])).sum(axis=0)))
    0.5
    """
    rest = np.asarray(values, dtype=np.float64)
    parts = []
    for unit in UNITS[:-1]:
        whole_units = np.trunc(rest / unit)  # by a power of two: exact, and so is what is left; a floor's would not be
        parts.append(whole_units)
        rest = rest - whole_units * unit
    return np.stack([*parts, np.rint(rest / UNITS[-1])], axis=-1).astype(np.int64)


def whole(parts: Counts) -> Fraction:
    """What LIMBS sums stand for together."""
    total = sum(part << shift for part, shift in zip(parts.tolist(), SHIFTS, strict=True))
    return Fraction(total, 1 << FINEST)


def floats(parts: Counts) -> Floats:
    """The same of many, shape (n, 4) to (n,), rounded as floats are."""
    found: Floats = parts.astype(np.float64) @ np.array(UNITS)
    return found


def add_at(places: Counts, values: Floats, size: int) -> Counts:
    """Sums of n values by their places, shape (size, LIMBS)."""
    found = np.zeros((size, LIMBS), dtype=np.int64)
    np.add.at(found, places, limbs(values))
    return found
