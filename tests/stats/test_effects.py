"""Tests, effects and pooling against SciPy, and their behaviour without a difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_site.stats.effects import chi_square_difference, chi_square_differences, ks_difference, ks_p_value, pool, psi
from mlops_site.stats.ks import ks_distance

RANDOM = np.random.default_rng(11)
counts = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=40).map(
    lambda pairs: (np.array(pairs).T[0], np.array(pairs).T[1])
)
some = counts.filter(lambda pair: pair[0].sum() > 0 and pair[1].sum() > 0)


def table(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([n]), np.array([m])


def test_the_ks_p_value_is_that_of_scipy() -> None:
    current, reference = RANDOM.normal(0.2, 1, 150), RANDOM.normal(0, 1, 400)
    known = stats.ks_2samp(current, reference, method="asymp")
    found = ks_difference(ks_distance(current, reference), 150, 400, table=table(150, 400))
    assert (found.statistic, found.p_value) == pytest.approx((known.statistic, known.pvalue), rel=1e-3)
    noise = np.sqrt(np.pi / 2) * np.log(2) * np.sqrt(1 / 150 + 1 / 400)
    assert found.effect == pytest.approx(np.sqrt(known.statistic**2 - noise**2), rel=1e-3)


@pytest.mark.parametrize(
    ("n", "points"),
    [
        *((n, 60) for n in (1, 9, 10, 30, 89, 90, 500, 2_000, 10_000)),
        (1_000_000, 8),  # scipy takes 0.4 s for each
        pytest.param(1_000_000, 60, marks=pytest.mark.slow),
    ],
)
def test_the_ks_p_value_is_within_one_percent_of_the_finite_distribution(n: int, points: int) -> None:
    distances = np.linspace(0.0, 2.6, points) / np.sqrt(n)
    known = [stats.kstwo.sf(min(1.0, distance), n) for distance in distances]
    assert [ks_p_value(min(1.0, float(d)), n) for d in distances] == pytest.approx(known, rel=0.01)


def test_the_chi_square_p_value_is_that_of_scipy() -> None:
    current, reference = np.array([30, 50, 20]), np.array([400, 400, 200])
    known = stats.chi2_contingency(np.array([current, reference]), correction=False)
    found = chi_square_difference(current, reference)
    assert (found.statistic, found.p_value) == pytest.approx((known.statistic, known.pvalue))


def test_p_values_are_uniform_without_a_difference() -> None:
    p_numbers, p_levels, w, d = [], [], [], []
    for _ in range(400):
        current, reference = RANDOM.normal(size=300), RANDOM.normal(size=1000)
        number = ks_difference(ks_distance(current, reference), 300, 1000, table=table(300, 1000))
        shares = [0.4, 0.3, 0.2, 0.1]
        level = chi_square_difference(RANDOM.multinomial(300, shares), RANDOM.multinomial(1000, shares))
        p_numbers.append(number.p_value)
        p_levels.append(level.p_value)
        d.append(number.effect)
        w.append(level.effect)
    assert stats.kstest(p_numbers, "uniform").pvalue > 0.001
    assert stats.kstest(p_levels, "uniform").pvalue > 0.001
    assert np.median(d) == 0
    assert np.median(w) == 0  # the bias is gone: uncorrected, every effect would be above 0


def test_the_effect_of_levels_is_cohens_w_for_a_large_reference() -> None:
    q, p = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])
    found = chi_square_difference(np.round(p * 1e5).astype(int), np.round(q * 1e8).astype(int))
    assert found.effect == pytest.approx(np.sqrt(((p - q) ** 2 / q).sum()), rel=0.01)
    apart = chi_square_difference(np.array([1000, 0]), np.array([0, 1000]))
    assert (apart.effect, apart.p_value) == pytest.approx((1.0, 0.0))


@given(st.lists(st.tuples(*[st.integers(0, 60)] * 6), min_size=1, max_size=40).map(np.array))
def test_many_pairs_are_judged_as_each_of_them(table: np.ndarray) -> None:
    current, reference = table[:, :3].T, table[:, 3:].T
    used = (current.sum(axis=1) > 0) & (reference.sum(axis=1) > 0)
    current, reference = current[used], reference[used]
    p_values, effects = chi_square_differences(current, reference)
    each = [chi_square_difference(*pair) for pair in zip(current, reference, strict=True)]
    assert p_values == pytest.approx([found.p_value for found in each], rel=1e-9)
    assert effects == pytest.approx([found.effect for found in each], rel=1e-6, abs=1e-7)


@given(some)
def test_pooling_keeps_all_counts_and_expects_five(pair: tuple[np.ndarray, np.ndarray]) -> None:
    ours, theirs = pool(*pair)
    assert (ours.sum(), theirs.sum()) == (pair[0].sum(), pair[1].sum())
    share = min(ours.sum(), theirs.sum()) / (ours.sum() + theirs.sum())
    assert len(ours) == 1 or ((ours + theirs) * share >= 5).all()


@given(some)
def test_equal_samples_do_not_differ(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert psi(pair[0], pair[0]) == 0
    same = chi_square_difference(pair[1], pair[1])
    assert (same.statistic, same.p_value, same.effect, same.psi) == pytest.approx((0, 1, 0, 0))


@given(some)
def test_figures_are_finite_and_within_their_range(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found = chi_square_difference(*pair)
    assert 0 <= found.p_value <= 1
    assert 0 <= found.effect <= 1
    assert 0 <= found.psi < np.inf


def test_psi_has_no_bias_left_where_the_plain_one_alarms() -> None:
    shares = np.full(10, 0.1)
    draws = [(RANDOM.multinomial(100, shares), RANDOM.multinomial(50_000, shares)) for _ in range(200)]
    plain = [float(((a / 100 - b / 50_000) * np.log((a + 1e-9) / 100 / (b / 50_000))).sum()) for a, b in draws]
    assert np.mean([psi(a, b) > 0.1 for a, b in draws]) < 0.05 < 0.25 < np.mean(np.array(plain) > 0.1)
    assert psi([300, 700], [50_000, 50_000]) == pytest.approx(0.2 * np.log(7 / 3), rel=0.02)
