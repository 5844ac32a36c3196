"""Sums that do not round."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_site.stats.exact import Moments, exact_sum

numbers = st.lists(st.floats(-1e150, 1e150), max_size=30).map(lambda values: np.array(values, dtype=np.float64))


@given(numbers)
def test_the_sum_is_the_sum_of_the_fractions(values: np.ndarray) -> None:
    assert exact_sum(values) == sum(map(Fraction, values.tolist()), Fraction(0))


def test_the_largest_and_the_smallest_numbers_lose_nothing() -> None:
    values = np.array([1e150, 5e-324, -1e150, -2.5, 2**53 + 2.0])
    assert exact_sum(values) == Fraction(2**53 + 2) - Fraction(5, 2) + Fraction(5e-324)


def test_a_long_column_of_any_spread_is_summed_exactly() -> None:
    random = np.random.default_rng(2)
    values = random.normal(size=40_000) * 10.0 ** random.integers(-300, 300, 40_000)
    assert exact_sum(values) == sum(map(Fraction, values.tolist()), Fraction(0))
    huge = np.array([1.7e308, 1.7e308, -1.7e308, 2.0])
    assert exact_sum(huge) == Fraction(1.7e308) + 2


@given(numbers, numbers)
def test_moments_add_and_subtract_exactly(first: np.ndarray, second: np.ndarray) -> None:
    both = Moments.of(np.concatenate([first, second]))
    added = Moments.of(first) + Moments.of(second)
    assert added == both
    assert (added.low, added.high) == (both.low, both.high)
    assert both - Moments.of(second) == Moments.of(first)


def test_mean_and_variance_are_those_of_numpy_and_none_without_numbers() -> None:
    values = np.random.default_rng(1).normal(1e6, 3.0, 1000)
    moments = Moments.of(values)
    assert moments.mean == pytest.approx(values.mean(), rel=1e-15)
    assert moments.variance == pytest.approx(values.var(), rel=1e-6)  # squares are rounded one by one
    assert (Moments().mean, Moments().variance) == (None, None)
    assert (Moments() - moments).mean is None
