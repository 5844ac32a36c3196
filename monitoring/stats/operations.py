"""How a version was used in a window: how often, how fast, how often in vain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlops_site.stats.bins import Counts
from monitoring.stats.shape import LATENCY_EDGES
from monitoring.stats.tally import Tally


class Operations(NamedTuple):
    """Figures of one window; None where there was nothing to measure. `load` is the share of the window that serving
    processes spent scoring: 0.5 is half of one process, 2 is two of them."""

    predictions: int
    per_hour: float
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    errors: int
    error_rate: float | None
    load: float | None


def operations(tally: Tally, secs: float) -> Operations:
    """Of a window of `secs` seconds; ValueError unless it has a length."""
    if not secs > 0:
        raise ValueError(f"secs must be above 0 but got {secs}")
    timed, total_us = int(tally.latency.sum()), float(tally.sums["latency_us"])
    return Operations(
        predictions=tally.rows,
        per_hour=tally.rows * 3600 / secs,
        mean_ms=total_us / timed / 1000 if timed else None,
        p50_ms=quantile_ms(tally.latency, 0.5),
        p95_ms=quantile_ms(tally.latency, 0.95),
        errors=tally.errors,
        error_rate=tally.errors / tally.rows if tally.rows else None,
        load=total_us / 1e6 / secs if timed else None,
    )


def quantile_ms(counts: Counts, share: float, edges: Counts = LATENCY_EDGES) -> float | None:
    """A quantile of latencies counted between `edges`, in microseconds, within the width of a bin of the exact one
    (12 % between LATENCY_EDGES): on a scale of logarithms the mass of a bin is spread evenly. None without counts.

    >>> counts = np.zeros(162, dtype=np.int64)
    >>> counts[41] = 10  # 1.00 to 1.12 ms
    >>> round(quantile_ms(counts, 0.5), 3)
    1.059
    """
    total = int(counts.sum())
    if total == 0:
        return None
    reached = np.cumsum(counts)
    place = int(np.searchsorted(reached, share * total))
    before = int(reached[place - 1]) if place else 0
    within = (share * total - before) / int(counts[place])
    logs = np.log(edges)
    low, high = logs[max(place - 1, 0)], logs[min(place, len(logs) - 1)]
    return float(np.exp(low + within * (high - low))) / 1000
