"""What became of answers: how many were labelled, how late, and how often people decided otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.intervals import wilson
from monitoring.stats.breakdown import Breakdown
from monitoring.stats.layout import ERROR_CODES, LAG_EDGES
from monitoring.stats.tally import Tally

OTHERS, NAMELESS = "other codes", "no code"


class Lag(NamedTuple):
    """Seconds from an answer to what it was about, over the `n` answers that have a label; None without any."""

    n: int
    p50_secs: float | None
    p90_secs: float | None
    p99_secs: float | None


class Lags(NamedTuple):
    """`observed` until it came true, `received` until it was told here."""

    coverage: float | None
    observed: Lag
    received: Lag


class Overrides(NamedTuple):
    """Decisions of people on `reviewed` answers, of which `overridden` were decided otherwise: upwards (to the positive
    class, or to a larger value) or down. Of those whose truth is known, how often each side was right (of values:
    nearer)."""

    reviewed: int
    overridden: int
    rate: float | None
    ci95: tuple[float, float] | None
    raised: int
    lowered: int
    human_right: int
    model_right: int


class Failures(NamedTuple):
    """Failed answers with one code."""

    code: str
    rows: int
    share: float  # of all answers


def lags(tally: Tally, breakdown: Breakdown) -> Lags:
    """Of a window; a label counts where its prediction lies, and its first revision says how late it was."""
    observed, received = (_lag(breakdown.part(name)) for name in ("observed_lag", "received_lag"))
    return Lags(tally.coverage, observed, received)


def _lag(counts: Counts) -> Lag:
    quantiles = (quantile_secs(counts, share) for share in (0.5, 0.9, 0.99))
    return Lag(int(counts.sum()), *quantiles)


def quantile_secs(counts: Counts, share: float) -> float | None:
    """A quantile of lags counted between LAG_EDGES, within 26 % of the exact one: on a scale of logarithms the mass of
    a bin is spread evenly. None without counts.

    >>> counts = np.zeros(len(LAG_EDGES) + 1, dtype=np.int64)
    >>> counts[np.searchsorted(LAG_EDGES, 86_400)] = 10
    >>> 79_000 < quantile_secs(counts, 0.5) < 100_000
    True
    """
    total = int(counts.sum())
    if total <= 0:
        return None
    reached = np.cumsum(counts)
    place = int(np.searchsorted(reached, share * total))
    before = int(reached[place - 1]) if place else 0
    within = (share * total - before) / int(counts[place])
    logs = np.log(LAG_EDGES)
    low, high = logs[max(place - 1, 0)], logs[min(place, len(logs) - 1)]
    return float(np.exp(low + within * (high - low)))


def known_after(counts: Counts, answers: int) -> list[tuple[float, float]]:
    """(seconds, share of all answers whose label was there by then) at each edge from the first label to the last."""
    some = np.flatnonzero(counts[:-1])
    if not len(some) or answers <= 0:
        return []
    reached = np.cumsum(counts)
    first, last = max(int(some[0]) - 1, 0), int(some[-1])
    return [(float(LAG_EDGES[at]), float(reached[at] / answers)) for at in range(first, last + 1)]


def overrides(counts: Counts) -> Overrides:
    """From the decisions of a breakdown or of one of its levels, shape (6,)."""
    reviewed, overridden, raised, lowered, human, model = (int(count) for count in counts)
    if not 0 <= overridden <= reviewed or not reviewed:  # nothing, or a correction of what was not counted
        return Overrides(reviewed, overridden, None, None, raised, lowered, human, model)
    found = wilson(overridden, reviewed)
    interval = (found.lower, found.upper)
    return Overrides(reviewed, overridden, found.estimate, interval, raised, lowered, human, model)


def failures(tally: Tally, breakdown: Breakdown, names: Mapping[int, str]) -> list[Failures]:
    """Failed answers by code, the most frequent first. Failures of before codes were counted have none."""
    counts = breakdown.part("errors")
    places = np.flatnonzero(counts[:ERROR_CODES]).tolist()
    found = {names.get(place, OTHERS) or NAMELESS: int(counts[place]) for place in places}
    rest = int(counts[ERROR_CODES]) + tally.errors - int(counts.sum())
    if rest > 0:
        found[OTHERS] = found.get(OTHERS, 0) + rest
    return [
        Failures(code, count, count / tally.rows if tally.rows else 0.0)
        for code, count in sorted(found.items(), key=lambda each: (-each[1], each[0]))
    ]
