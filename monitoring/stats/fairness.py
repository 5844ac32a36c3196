"""By how much levels of a slice are treated differently, and whether that is more than chance and more than allowed.

Each level is compared with the largest one. All comparisons of a window are one family: Holm's adjustment bounds the
chance that any of them is called significant where there is no difference at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from mlops_site.stats.intervals import holm, wilson
from monitoring.stats.levels import Level, Rate
from monitoring.stats.slicing import MISSING, OTHER

ALPHA = 0.01  # of the family: an alarm in a hundred windows, were there no gap at all
MIN_ROWS = 50
# From which gap on a difference is material, until somebody says otherwise.
LIMITS: Mapping[str, float] = {
    "selection_rate": 0.1,
    "true_positive_rate": 0.1,
    "false_positive_rate": 0.1,
    "accuracy": 0.1,
    "calibration_gap": 0.05,
    "actual_over_expected": 0.2,
}
MEASURES = tuple(LIMITS)


class Gap(NamedTuple):
    """A measure in one level less that in the reference level, on `n` and `reference_n` rows. `adjusted` is the p-value
    after Holm; `material` a gap of the limit or more; `alarm` both."""

    slice: str
    measure: str
    level: str
    reference: str
    value: float
    reference_value: float
    difference: float
    ci95: tuple[float, float]
    n: int
    reference_n: int
    p_value: float
    adjusted: float
    limit: float | None
    material: bool
    alarm: bool


class Sliced(NamedTuple):
    """A slice with its levels, and the gaps between them; `reference` is the level with the most answers."""

    name: str
    source: str
    reference: str
    levels: list[Level]
    gaps: list[Gap]


def judged(
    slices: Sequence[tuple[str, str, Sequence[Level]]],
    *,
    limits: Mapping[str, float | None] | None = None,
    min_rows: int = MIN_ROWS,
) -> list[Sliced]:
    """Of (name, source, levels) of each slice. A limit that is None leaves its measure out; a rate on less than
    `min_rows` rows is not compared, nor are the answers without a level."""
    allowed = {name: limit for name, limit in {**LIMITS, **(limits or {})}.items() if limit is not None}
    found = [(name, source, list(levels), _reference(levels)) for name, source, levels in slices]
    drafts = [_gaps(name, levels, reference, allowed, min_rows) for name, _, levels, reference in found]
    adjusted = iter(holm([gap.p_value for gaps in drafts for gap in gaps]).tolist())
    final = [[_decided(gap, next(adjusted)) for gap in gaps] for gaps in drafts]
    return [
        Sliced(name, source, reference.name if reference else "", levels, gaps)
        for (name, source, levels, reference), gaps in zip(found, final, strict=True)
    ]


def _reference(levels: Sequence[Level]) -> Level | None:
    named = [level for level in levels if level.name not in (MISSING, OTHER) and level.rows > 0]
    return max(named, key=lambda level: level.rows, default=None)


def _gaps(
    name: str, levels: Sequence[Level], reference: Level | None, limits: Mapping[str, float], min_rows: int
) -> list[Gap]:
    if reference is None:
        return []
    others = [level for level in levels if level is not reference and level.name != MISSING]
    found = []
    for measure, limit in limits.items():
        base = reference.rates.get(measure)
        if base is None or base.n < min_rows:
            continue
        rates = [(level.name, level.rates[measure]) for level in others if measure in level.rates]
        found += [_gap(name, measure, each, (reference.name, base), limit) for each in rates if each[1].n >= min_rows]
    return found


def _gap(name: str, measure: str, one: tuple[str, Rate], two: tuple[str, Rate], limit: float) -> Gap:
    (level, rate), (reference, base) = one, two
    difference = rate.value - base.value
    interval, p_value = compared(rate, base)
    material = abs(difference) >= limit - 1e-12
    return Gap(
        name, measure, level, reference, rate.value, base.value, difference, interval,
        rate.n, base.n, p_value, p_value, limit, material, False,
    )  # fmt: skip


def _decided(gap: Gap, adjusted: float) -> Gap:
    return gap._replace(adjusted=adjusted, alarm=gap.material and adjusted <= ALPHA)


def compared(one: Rate, two: Rate) -> tuple[tuple[float, float], float]:
    """The 95 % interval of the difference and its two-sided p-value. Shares: Newcombe's hybrid score interval (1998,
    Statistics in Medicine 17, method 10) and the pooled z-test, or Fisher's where fewer than 5 hits or misses are
    expected; means: Welch's z.

    >>> interval, p_value = compared(Rate(0.8, 0.16, 70, 56), Rate(0.6, 0.24, 80, 48))
    >>> [round(end, 4) for end in interval], round(p_value, 4)
    ([0.0524, 0.3339], 0.008)
    """
    difference = one.value - two.value
    if one.hits is None or two.hits is None:
        error = math.sqrt(one.variance / max(one.n - 1, 1) + two.variance / max(two.n - 1, 1))
        half = 1.959964 * error
        return (difference - half, difference + half), _two_sided(difference, error)
    first, second = wilson(one.hits, one.n), wilson(two.hits, two.n)
    low = difference - math.hypot(one.value - first.lower, second.upper - two.value)
    high = difference + math.hypot(first.upper - one.value, two.value - second.lower)
    pooled = (one.hits + two.hits) / (one.n + two.n)
    if min(pooled, 1 - pooled) * min(one.n, two.n) < 5:
        cells = np.array([[one.hits, one.n - one.hits], [two.hits, two.n - two.hits]])
        return (low, high), float(scipy.stats.fisher_exact(cells).pvalue)
    return (low, high), _two_sided(difference, math.sqrt(pooled * (1 - pooled) * (1 / one.n + 1 / two.n)))


def _two_sided(difference: float, error: float) -> float:
    if error <= 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * scipy.special.ndtr(-abs(difference) / error))
