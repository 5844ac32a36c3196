"""A split that is not kept is found, and one that is kept is left alone, also when somebody looks every day."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from abtesting.stats.srm import LIMIT, always_valid_p, sample_ratio


@given(st.integers(1, 100_000), st.integers(0, 100_000), st.floats(0.01, 0.99))
def test_the_p_value_is_scipys_chi_square(a: int, b: int, share: float) -> None:
    expected = [(a + b) * (1 - share), (a + b) * share]
    assert sample_ratio(a, b, share).p_value == pytest.approx(stats.chisquare([a, b], expected).pvalue, abs=1e-9)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("n", [20, 1_000, 20_000])
def test_at_one_look_at_most_one_sound_split_in_a_thousand_is_blocked(n: int, share: float) -> None:
    b = np.arange(n + 1)
    near = np.abs(b - n * share) < 8 * np.sqrt(n * share) + 10
    blocked = [count for count in b[near].tolist() if not sample_ratio(n - count, count, share).ok]
    assert np.sum(stats.binom.pmf(blocked, n, share)) <= LIMIT


def test_of_sound_splits_at_most_one_in_a_thousand_is_ever_proven_wrong() -> None:
    rng = np.random.default_rng(23)
    looks, each = 100, 1_000
    b = np.cumsum(rng.binomial(each, 0.5, (3_000, looks)), axis=1)
    n = each * np.arange(1, looks + 1)
    worst = np.abs(b - n / 2) / np.sqrt(n / 4)
    ever = 0
    for row, z in zip(b, worst, strict=True):
        far = np.flatnonzero(z > 3)
        ever += any(sample_ratio(int(n[k] - row[k]), int(row[k]), 0.5).proven for k in far)
    assert ever <= 3


def test_one_percent_too_many_are_found_at_a_hundred_thousand() -> None:
    drawn = np.random.default_rng(29).binomial(100_000, 0.51, 1_000)
    found = [sample_ratio(100_000 - b, b, 0.5) for b in drawn.tolist()]
    assert np.mean([not each.ok for each in found]) >= 0.99
    assert np.mean([each.proven for each in found]) >= 0.95


def test_the_mixture_is_a_martingale() -> None:
    """The evidence after one more unit is, on average under the split, the evidence before."""
    for a, b, share in ((0, 0, 0.5), (30, 12, 0.7), (900, 1_000, 0.5)):
        now, to_a, to_b = (1 / always_valid_p(a + i, b + j, share) for i, j in ((0, 0), (1, 0), (0, 1)))
        if min(now, to_a, to_b) > 1:
            assert share * to_b + (1 - share) * to_a == pytest.approx(now, rel=1e-9)


def test_large_counts_and_none_have_an_answer() -> None:
    assert sample_ratio(0, 0, 0.5)[3:] == (1.0, 1.0, 1.0, True, False, "no units yet")
    assert sample_ratio(10**9, 10**9 + 10**7, 0.5).proven
    found = sample_ratio(40, 60, 0.9)
    assert not found.ok
    assert found.reason.startswith("sample ratio mismatch: 60 of 100 units are in B (60.00%, the split says 90.00%")


@pytest.mark.parametrize(("a", "b", "share"), [(-1, 1, 0.5), (1, -1, 0.5), (1, 1, 0.0), (1, 1, 1.0), (1, 1, np.nan)])
def test_impossible_counts_are_refused(a: int, b: int, share: float) -> None:
    with pytest.raises(ValueError, match="must"):
        sample_ratio(a, b, share)
