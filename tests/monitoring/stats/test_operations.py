"""Operational figures of a tally against the answers themselves."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from monitoring.stats import operations
from monitoring.stats.operations import quantile_ms
from monitoring.stats.shape import LATENCY_EDGES, Shape
from monitoring.stats.tally import Answers, Tally

SHAPE = Shape("classification", ("no", "yes"), "yes")


def tally(latency_ms: list[float], errors: int = 0) -> Tally:
    n = len(latency_ms)
    failed = [place < errors for place in range(n)]
    return Tally.of(Answers(["no"] * n, [0.1] * n, [0] * n, failed, latency_ms, [None] * n), SHAPE)


def test_figures_of_a_window() -> None:
    found = operations.operations(tally([10.0] * 150 + [30.0] * 50, errors=2), 7200)
    assert (found.predictions, found.per_hour, found.errors, found.error_rate) == (200, 100.0, 2, 0.01)
    assert found.mean_ms == pytest.approx(15.0)
    assert found.load == pytest.approx(3.0 / 7200)


def test_nothing_asked_is_nothing_known() -> None:
    assert operations.operations(tally([]), 60) == (0, 0.0, None, None, None, 0, None, None)


def test_answers_without_a_time_have_no_response_time_and_no_load() -> None:
    found = operations.operations(tally([float("nan")] * 3), 60)
    assert (found.predictions, found.mean_ms, found.p95_ms, found.load) == (3, None, None, None)


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="secs must be above 0 but got 0"):
        operations.operations(tally([]), 0)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 0.99])
def test_quantiles_are_within_a_bin_of_the_exact_ones(share: float) -> None:
    values = np.exp(np.random.default_rng(1).normal(1, 1, 20_000))
    exact = float(np.quantile(values, share))
    assert quantile_ms(tally(values.tolist()).latency, share) == pytest.approx(exact, rel=0.03)


def test_times_beyond_the_edges_are_held_at_them() -> None:
    assert quantile_ms(tally([0.0]).latency, 0.5) == pytest.approx(LATENCY_EDGES[0] / 1000)
    assert quantile_ms(tally([1e8]).latency, 0.5) == pytest.approx(LATENCY_EDGES[-1] / 1000)


def test_the_examples_are_right() -> None:
    assert doctest.testmod(operations).failed == 0
