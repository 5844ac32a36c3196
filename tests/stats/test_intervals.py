"""Intervals against SciPy and known answers; how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_site.stats.intervals import benjamini_hochberg, bootstrap, holm, paired_bootstrap, wilson
from mlops_site.stats.metrics import evaluate_rows, names
from mlops_site.stats.scored import Floats, ScoredRows, scored_rows


def claims(n: int, *, skill: float, seed: int = 1) -> ScoredRows:
    """Binary rows whose truth depends on `seed` alone; a higher skill separates the classes better."""
    truth = (np.random.default_rng(seed).random(n) < 0.3).astype(int)
    noise = np.random.default_rng(seed + 1).normal(size=n)
    score = 1 / (1 + np.exp(-(skill * (truth - 0.5) + noise)))
    return scored_rows("classification", truth, prediction=score > 0.5, score=score, positive=1, classes=[0, 1])


@pytest.mark.parametrize("metric", names("classification"))
def test_the_interval_holds_the_estimate_and_repeats_with_its_seed(metric: str) -> None:
    rows = claims(400, skill=2.0)
    found = bootstrap(metric, rows, draws=200, seed=3)
    assert found.estimate == pytest.approx(evaluate_rows(rows, metrics=[metric])[metric])
    assert found.lower < found.estimate < found.upper
    assert found == bootstrap(metric, rows, draws=200, seed=3)
    assert found != bootstrap(metric, rows, draws=200, seed=4)


def test_the_draws_are_those_of_row_by_row_resampling() -> None:
    rows = claims(300, skill=1.5)
    random = np.random.default_rng(11)
    plain = [evaluate_rows(rows.take(random.integers(0, 300, 300)))["roc_auc"] for _ in range(600)]
    found = bootstrap("roc_auc", rows, draws=3000)
    assert found.se == pytest.approx(np.std(plain), rel=0.1)
    assert (found.lower, found.upper) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.01)


def test_a_mean_has_the_textbook_standard_error_and_covers_at_its_level() -> None:
    random, hits = np.random.default_rng(5), 0
    for seed in range(200):
        truth = random.normal(size=60)
        found = bootstrap(
            lambda rows, weights: weights @ rows.truth / weights.sum(axis=1),
            scored_rows("regression", truth),
            draws=300,
            level=0.9,
            seed=seed,
        )
        hits += found.lower <= 0 <= found.upper
    assert found.se == pytest.approx(np.std(truth) / np.sqrt(60), rel=0.15)
    assert 0.9 - 3 * np.sqrt(0.09 / 200) < hits / 200 < 0.9 + 3 * np.sqrt(0.09 / 200)


def test_pairing_cancels_what_both_models_share() -> None:
    first, second = claims(500, skill=1.5), claims(500, skill=1.8)
    paired = paired_bootstrap("roc_auc", first, second, draws=400)
    alone = bootstrap("roc_auc", second, draws=400)
    assert paired.estimate == pytest.approx(alone.estimate - bootstrap("roc_auc", first, draws=1).estimate)
    assert paired.se < alone.se / 3
    assert paired.lower > 0
    assert paired.p_value is not None
    assert paired.p_value < 0.01


def test_equal_models_differ_by_nothing() -> None:
    rows = claims(200, skill=1.0)
    same = paired_bootstrap("f1_score", rows, rows, draws=50)
    assert (same.estimate, same.lower, same.upper, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_rows_of_one_person_are_drawn_together() -> None:
    person = np.repeat(np.arange(50), 10)
    effects = np.random.default_rng(2).normal(size=50)
    rows = scored_rows("regression", effects[person], prediction=np.zeros(500))
    alone, grouped = (bootstrap("rmse", rows, draws=500, groups=groups) for groups in (None, person))
    assert grouped.se == pytest.approx(alone.se * np.sqrt(10), rel=0.15)


def test_a_draw_without_a_class_is_left_out_but_most_must_have_a_value() -> None:
    few = scored_rows("classification", [0] * 20 + [1], score=np.arange(21) / 21, positive=1)
    found = bootstrap("roc_auc", few, draws=500)
    assert 250 < found.draws < 400  # 1 - exp(-1) of them hold the one positive row
    with pytest.raises(ValueError, match="roc_auc must have a value on the rows but the rows do not hold both"):
        bootstrap("roc_auc", few.take(np.arange(20)))

    def rarely(rows: ScoredRows, weights: Floats) -> Floats:
        return np.where(weights[:, 0] == 1, 0.5, np.nan)

    with pytest.raises(ValueError, match=r"on most draws but got 0.5 and \d+ of 500 draws"):
        bootstrap(rarely, few, draws=500)


def test_unusable_arguments_are_refused_with_their_value() -> None:
    rows = claims(30, skill=1.0)
    with pytest.raises(ValueError, match="must be about the same rows"):
        paired_bootstrap("accuracy", rows, claims(30, skill=1.0, seed=9))
    with pytest.raises(ValueError, match="groups must have 30 rows but got 2"):
        bootstrap("accuracy", rows, groups=[1, 2])
    with pytest.raises(ValueError, match="rows must not be empty"):
        bootstrap(lambda rows, weights: weights[:, 0], rows.take(np.arange(0)))
    with pytest.raises(ValueError, match="draws must be at least 1 but got 0"):
        bootstrap("accuracy", rows, draws=0)
    with pytest.raises(ValueError, match="level must be between 0 and 1 but got 95"):
        bootstrap("accuracy", rows, level=95)
    with pytest.raises(ValueError, match="metric must be a classification metric"):
        bootstrap("mae", rows)


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_that_of_scipy(n: int, share: float, level: float) -> None:
    successes = round(share * n)
    found = wilson(successes, n, level=level)
    known = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert (found.lower, found.upper) == pytest.approx((known.low, known.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(3, 2), (-1, 2), (0, 0)])
def test_wilson_refuses_more_successes_than_trials(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"but got {successes} of {n}"):
        wilson(successes, n)


p_values = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(p_values)
def test_q_values_are_those_of_scipy(values: list[float]) -> None:
    assert benjamini_hochberg(values) == pytest.approx(stats.false_discovery_control(values))


@given(p_values)
def test_holm_lies_between_the_p_value_and_bonferroni_and_rejects_stepwise(values: list[float]) -> None:
    adjusted = holm(values)
    assert (adjusted >= np.array(values) - 1e-15).all()
    assert (adjusted <= np.minimum(1.0, np.array(values) * len(values)) + 1e-15).all()
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    stepwise = np.cumprod(np.array(values)[order] * factors <= 0.05).astype(bool)
    assert ((adjusted <= 0.05)[order] == stepwise).all()


def test_holm_never_ranks_a_greater_p_value_as_more_certain() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])


def test_an_undefined_p_value_is_no_test() -> None:
    for adjust in (holm, benjamini_hochberg):
        assert adjust([0.01, np.nan, 0.04])[[0, 2]].tolist() == adjust([0.01, 0.04]).tolist()
        assert np.isnan(adjust([np.nan]))
        assert len(adjust([])) == 0
        with pytest.raises(ValueError, match="p_values must be between 0 and 1"):
            adjust([1.5])
