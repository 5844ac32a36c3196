"""Differences of shares agree with statsmodels and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import betaln
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from abtesting.stats.proportions import chance_greater, newcombe, pooled_p_value

tables = st.tuples(st.integers(1, 5000), st.integers(1, 5000)).flatmap(
    lambda ns: st.tuples(st.integers(0, ns[0]), st.just(ns[0]), st.integers(0, ns[1]), st.just(ns[1]))
)


@given(table=tables, level=st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_are_those_of_statsmodels(table: tuple[int, int, int, int], level: float) -> None:
    hits_a, n_a, hits_b, n_b = table
    theirs = confint_proportions_2indep(hits_b, n_b, hits_a, n_a, method="newcomb", alpha=1 - level, compare="diff")
    assert newcombe(*table, level=level) == pytest.approx(theirs, abs=1e-9)


@given(tables.filter(lambda table: 0 < table[0] + table[2] < table[1] + table[3]))
def test_the_score_test_is_that_of_statsmodels_and_scipy(table: tuple[int, int, int, int]) -> None:
    hits_a, n_a, hits_b, n_b = table
    found = pooled_p_value(*table)
    assert found == pytest.approx(proportions_ztest([hits_b, hits_a], [n_b, n_a])[1], abs=1e-9)
    counts = [[hits_a, n_a - hits_a], [hits_b, n_b - hits_b]]
    assert found == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue, abs=1e-9)


def test_nothing_and_everything_tell_no_difference() -> None:
    assert pooled_p_value(0, 10, 0, 20) == pooled_p_value(10, 10, 20, 20) == 1.0


def exact_chance(hits_a: int, n_a: int, hits_b: int, n_b: int) -> float:
    """Miller's sum (2014), exact for whole parameters."""
    a, b, c, d = hits_a + 1, n_a - hits_a + 1, hits_b + 1, n_b - hits_b + 1
    i = np.arange(c)
    terms = np.exp(betaln(a + i, b + d) - np.log(d + i) - betaln(1 + i, d) - betaln(a, b))
    return float(terms.sum())


@settings(max_examples=60)
@given(tables)
def test_the_chance_of_better_is_the_exact_sum(table: tuple[int, int, int, int]) -> None:
    assert chance_greater(*table) == pytest.approx(exact_chance(*table), abs=1e-9)
    assert chance_greater(*table) + chance_greater(*table[2:], *table[:2]) == pytest.approx(1, abs=1e-9)


def test_the_chance_of_better_holds_for_a_million_rows() -> None:
    wide = 400_000, 1_000_000, 13, 30
    assert chance_greater(*wide) == pytest.approx(exact_chance(*wide), abs=1e-8)  # the sum's logarithms round
    assert chance_greater(0, 1_000_000, 0, 30) == pytest.approx(exact_chance(0, 1_000_000, 0, 30), abs=1e-9)
    low, high = (500_000, 1_000_000), (501_000, 1_000_000)
    normal = stats.norm.cdf(0.001 / np.sqrt(2 * 0.25e-6))
    assert chance_greater(*low, *high) == pytest.approx(normal, abs=1e-4)
    assert chance_greater(0, 1_000_000, 1_000_000, 1_000_000) == pytest.approx(1, abs=1e-9)
