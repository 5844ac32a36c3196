"""The sequential boundary bounds the chance ever to be wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtesting.stats.sequential import boundary, interval, p_value

sizes = st.floats(1, 1e7)


@given(sizes, sizes, st.floats(0.001, 0.5))
def test_interval_and_p_value_say_the_same(n: float, tuned_at: float, alpha: float) -> None:
    z = boundary(n, tuned_at=tuned_at, level=1 - alpha)
    assert p_value(z, n, tuned_at=tuned_at) == pytest.approx(alpha, rel=1e-6)
    assert p_value(-z, n, tuned_at=tuned_at) == pytest.approx(alpha, rel=1e-6)


def test_the_boundary_is_the_mixture_integrated_numerically() -> None:
    n, tuned_at, z = 700.0, 5_000.0, 2.7
    tau = math.sqrt((math.log(1 + 2 * math.log(20)) + 2 * math.log(20)) / tuned_at)
    effects, step = np.linspace(-12 * tau, 12 * tau, 20_001, retstep=True)
    prior = np.exp(-np.square(effects / tau) / 2) / tau / math.sqrt(2 * math.pi)
    ratio = np.exp(z * math.sqrt(n) * effects - n * np.square(effects) / 2)
    assert p_value(z, n, tuned_at=tuned_at) == pytest.approx(1 / float((prior * ratio).sum() * step), rel=1e-9)


def test_it_is_narrowest_against_the_fixed_one_where_it_is_tuned() -> None:
    sizes = [500, 2_000, 4_500, 5_000, 5_500, 20_000]
    factors = [boundary(n, tuned_at=5_000) for n in sizes]
    assert sizes[int(np.argmin(factors))] == 5_000


def test_one_look_after_each_unit_is_wrong_less_often_than_promised() -> None:
    rng, n = np.random.default_rng(11), 2_000
    sums = np.cumsum(rng.standard_normal((2_000, n)), axis=1)
    looks = np.arange(30, n + 1)
    z = sums[:, 29:] / np.sqrt(looks)
    limits = np.array([boundary(float(look), tuned_at=1_000) for look in looks])
    ever = (np.abs(z) > limits).any(axis=1).mean()
    assert 0.005 < ever <= 0.05
    assert (np.abs(z) > 1.96).any(axis=1).mean() > 0.4


def test_the_interval_lies_around_the_estimate() -> None:
    low, high = interval(0.2, 0.01, 5_000)
    assert (low + high) / 2 == pytest.approx(0.2)
    assert (high - low) / 2 == pytest.approx(0.01 * boundary(5_000))


@pytest.mark.parametrize(("n", "tuned_at"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_no_units_have_no_boundary(n: float, tuned_at: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        boundary(n, tuned_at=tuned_at)
