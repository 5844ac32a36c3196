"""Whether far fewer or far more predictions arrive than should, by the hours of the weeks before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from mlops_site.stats.scored import Floats
from monitoring.stats.expected import Baseline, at_least, at_most, interval

LARGEST_DROP = 0.5
LEAST_RISE = 2.0  # times as many as expected
ALPHA = 0.001  # of a window against the one before
CERTAIN = 2e-5  # by the hour that a stretch is long: of as many hours there are fewer to be wrong about
LARGEST_CERTAIN = 1e-3
STRICTER = 0.1  # of a rise: good hours have a longer tail than bad ones
LIKELY = 0.1  # a drop of exactly the size that is asked for leaves as many rows as this often, or is larger
STRETCHES = (1, 3, 6, 12, 24)  # hours, that end with the window

BEFORE = "window before"


class Volume(NamedTuple):
    """Rows of a window and of the one of the same length before it, of all versions of the model.

    `change` is -0.5 where half are left: of what is expected, or of the window before while the history is too short
    (`baseline` says which). `drop` and `spike` are about the window or about the last `stretch` hours of it, which
    brought `stretch_rows` instead of `stretch_expected`. 99 % of such windows lie between `lower` and `upper`.
    """

    rows: int
    before: int
    change: float | None
    drop: bool
    reason: str
    spike: bool = False
    baseline: str = BEFORE
    history_days: int = 0
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    stretch: float | None = None
    stretch_rows: int | None = None
    stretch_expected: float | None = None


class Stretch(NamedTuple):
    """The last `hours` of a window: rows, what was expected of them, and the kindest expectation on either side."""

    hours: float
    rows: int
    expected: float
    low: float
    high: float
    tau: float


class Cut(NamedTuple):
    """Parts of hours at the ends of a window: what of its first hour lies before it, and what of an hour comes after
    its last whole one."""

    lead: float = 0.0
    part: float = 0.0


WHOLE = Cut()


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


def expected_volume(
    rows: int,
    before: int,
    *,
    known: Baseline,
    hours: Floats,
    cut: Cut = WHOLE,
    min_samples: int,
    largest_drop: float = LARGEST_DROP,
) -> Volume:
    """Judge a window that begins in the hour where the history of `known` ends: `hours` are the whole hours from there
    on, shape (n,), NaN where one is not known; `cut` says what of them is not in the window, or is and is no hour.

    A drop may be `largest_drop` or more of the least that is expected, a spike at least twice the most and
    `min_samples` more; both less likely by the negative binomial distribution than 0.00002 for each hour (a spike: than
    a tenth of it).
    The whole window is judged, and the last 1, 3, 6, 12 and 24 whole hours, so that a silence is seen before it has
    lasted half a day. Before a week is known the window is judged by the one before it, and the stretches by the flat
    mean.
    """
    window = _window(rows, known, len(hours), cut)
    last = [_stretch(known, hours, length) for length in STRETCHES if length < len(hours)]
    judged = [each for each in last[::-1] if each is not None]  # the longest first: it says most
    plain = volume(rows, before, min_samples=min_samples, largest_drop=largest_drop)
    if known.pattern == "flat" and plain.drop:
        return plain
    if known.pattern != "flat":
        judged.insert(0, window)
    falls = [each for each in judged if fell_in(each, largest_drop)]
    fell = min(falls, key=lambda each: each.rows > (1 - largest_drop) * each.low, default=None)  # those that are it
    rose = next((each for each in judged if rose_in(each, min_samples)), None) if fell is None else None
    found = fell or rose
    if known.pattern == "flat" and found is None:
        return plain
    (low,), (high,) = (side.tolist() for side in interval(np.array([window.expected]), window.tau))
    return Volume(
        rows,
        before,
        rows / window.expected - 1 if window.expected > 0 else None,
        fell is not None,
        _reason(window, found, known),
        rose is not None,
        known.pattern,
        known.days,
        window.expected,
        low,
        high,
        *((found.hours, found.rows, found.expected) if found else (None, None, None)),
    )


def certain(hours: float) -> float:
    """Largest p-value that counts, of a stretch of so many hours."""
    return min(CERTAIN * max(hours, 1.0), LARGEST_CERTAIN)


class Band(NamedTuple):
    """What each step of a chart should bring, and between what 99 % of such steps lie, of all versions of the model;
    `others` is what versions beside the one shown brought. `pattern` says what it is made of."""

    expected: list[float]
    lower: list[float]
    upper: list[float]
    others: list[int]
    pattern: str


def band(known: Baseline, starts: Floats, ends: Floats, others: list[int]) -> Band:
    """Of steps that begin and end so many hours after the history, shape (n,) each."""
    hours = int(np.ceil(ends.max())) + 1
    reached = np.concatenate([[0.0], np.cumsum(known.expected(0, hours))])
    at = np.arange(hours + 1)
    expected = np.interp(ends, at, reached) - np.interp(starts, at, reached)
    lower, upper = interval(expected, known.dispersion(max(1, round(float((ends - starts).max())))))
    return Band(expected.tolist(), lower.tolist(), upper.tolist(), others, known.pattern)


def fell_in(stretch: Stretch, largest_drop: float = LARGEST_DROP) -> bool:
    """Whether a drop is certain, and may be as large as that: of one of exactly that size half of all stretches keep
    more than it leaves on average, by their own noise.

    >>> [fell_in(Stretch(1.0, rows, 200.0, 200.0, 200.0, 0.05)) for rows in (100, 106, 150)]
    [True, True, False]
    """
    left = (1 - largest_drop) * stretch.low
    may_be = stretch.rows <= left or at_least(stretch.rows, left, stretch.tau) >= LIKELY
    return may_be and at_most(stretch.rows, stretch.low, stretch.tau) <= certain(stretch.hours)


def rose_in(stretch: Stretch, min_samples: int) -> bool:
    is_high = stretch.rows >= max(LEAST_RISE * stretch.high, stretch.high + min_samples)
    return is_high and at_least(stretch.rows, stretch.high, stretch.tau) <= STRICTER * certain(stretch.hours)


def _window(rows: int, known: Baseline, whole: int, cut: Cut) -> Stretch:
    length = whole + cut.part - cut.lead
    sums = []
    for shift in (0, -1, 1):  # clocks an hour off either way
        cells = known.expected(0, whole + 1, shift=shift)
        sums.append(float(cells.sum() - cut.lead * cells[0] - (1 - cut.part) * cells[-1]))
    tau = known.dispersion(max(1, round(length)))
    return Stretch(length, rows, sums[0], max(0.0, min(sums)), max(sums), tau)


def _stretch(known: Baseline, hours: Floats, length: int) -> Stretch | None:
    first, rows = len(hours) - length, hours[-length:].sum()
    if rows != rows:
        return None
    expected = float(known.expected(first, length).sum())
    return Stretch(length, int(rows), expected, *known.bounds(first, length), known.dispersion(length))


def _reason(window: Stretch, found: Stretch | None, known: Baseline) -> str:
    by = "" if known.pattern == "flat" else f" by {known.pattern}"
    short = {"hour of week": "", "hour of day": ", too few for hours of the week", "flat": ", too few for a pattern"}
    about = f"{by}, from {known.days} days{short[known.pattern]}"
    told = found or window
    when = f" in the last {told.hours:g} hour{'' if told.hours == 1 else 's'}" if told.hours < window.hours else ""
    change = f" ({told.rows / told.expected - 1:+.0%})" if told.expected > 0 else ""
    return f"{told.rows:,} rows{when} where about {told.expected:,.0f} are expected{change}{about}"
