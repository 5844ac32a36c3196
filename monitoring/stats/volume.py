"""Whether far fewer predictions arrive than before."""

from __future__ import annotations

from typing import NamedTuple

import scipy  # loads scipy.stats at its first use: half of what a process takes to start

LARGEST_DROP = 0.5
ALPHA = 0.001


class Volume(NamedTuple):
    """Rows of a window and of the one of the same length before it; `change` is -0.5 where half are left."""

    rows: int
    before: int
    change: float | None  # None without rows before
    drop: bool
    reason: str


def volume(rows: int, before: int, *, min_samples: int, largest_drop: float = LARGEST_DROP) -> Volume:
    """Judge the rows of a window by those of the window before.

    A drop is at least `largest_drop`, is no chance (the exact test of two Poisson rates over equal times: given the
    sum, the rows are binomial with p = 1/2), and starts from at least `min_samples` rows. Source: Przyborowski and
    Wilenski (1940), Biometrika 31.

    >>> volume(40, 100, min_samples=100).drop, volume(60, 100, min_samples=100).drop
    (True, False)
    """
    if rows < 0 or before < 0:
        raise ValueError(f"rows and before must not be negative but got {rows} and {before}")
    change = rows / before - 1 if before else None
    if before < min_samples:
        reason = f"not judged: {before} rows in the window before, of at least {min_samples}"
        return Volume(rows, before, change, False, reason)
    p_value = float(scipy.stats.binom.cdf(rows, rows + before, 0.5))
    drop = rows <= (1 - largest_drop) * before and p_value <= ALPHA
    said = f"{rows:,} rows after {before:,} in the window before ({rows / before - 1:+.0%})"
    return Volume(rows, before, change, drop, said)
