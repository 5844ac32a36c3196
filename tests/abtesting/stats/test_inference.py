"""Comparisons of arms and of pairs agree with SciPy and statsmodels, with the bootstrap, and with what is true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep

from abtesting.stats.inference import Comparison, Unknown, compare_arms, compare_pairs, over_epochs
from abtesting.stats.measures import Costs, Measure, chosen, measures
from abtesting.stats.paired import cells_of, mcnemar
from abtesting.stats.pairs import PairTally
from abtesting.stats.resample import bootstrap_arms, bootstrap_pairs
from abtesting.stats.tally import Answers, ArmTally, Shape
from mlops_site.stats.intervals import paired_bootstrap
from mlops_site.stats.metrics import evaluate
from mlops_site.stats.scored import scored_rows
from tests.abtesting.stats.arms import BINARY, arm_of, pairs_of

VALUE = Shape("regression")
KNOWN = measures(BINARY, paired=False, costs=Costs(1.0, 8.0))
DECISIONS = ("accuracy", "precision", "recall", "f1_score", "cost")


def rows(seed: int, n: int = 4_000, *, gain: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Label and the two models' scores, which agree a good deal; B's follows the label a little more."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.2).astype(int)
    shared = rng.standard_normal(n) + 1.5 * label
    a = 1 / (1 + np.exp(-(shared + 0.5 * rng.standard_normal(n) - 1.2)))
    b = 1 / (1 + np.exp(-(shared + gain * label + 0.5 * rng.standard_normal(n) - 1.2)))
    return label, a, b, np.arange(n)


def answers(score: np.ndarray, label: np.ndarray) -> Answers:
    n = len(score)
    said = (score >= 0.5).astype(int)
    return Answers(said, score, said, [False] * n, [1.0] * n, label)


def done(found: Comparison | Unknown) -> Comparison:
    assert isinstance(found, Comparison), found
    return found


def two_arms(seed: int, **more: Any) -> tuple[ArmTally, ArmTally]:
    label, a, b, _ = rows(seed, **more)
    half = len(label) // 2
    return ArmTally.of(answers(a[:half], label[:half]), BINARY), ArmTally.of(answers(b[half:], label[half:]), BINARY)


def one_pair(seed: int, **more: Any) -> PairTally:
    label, a, b, _ = rows(seed, **more)
    return PairTally.of(answers(a, label), answers(b, label), BINARY, scored=[True] * len(label))


def test_the_values_are_those_of_the_metrics_table() -> None:
    label, a, b, _ = rows(1)
    a_tally, b_tally = (ArmTally.of(answers(score, label), BINARY) for score in (a, b))
    pairs = one_pair(1)
    for side, score in (("a", a), ("b", b)):
        said = (score >= 0.5).astype(int)
        true = evaluate("classification", label, prediction=said, score=score, positive=1)
        for name in ("accuracy", "precision", "recall", "f1_score", "brier"):
            assert getattr(done(compare_arms(KNOWN[name], a_tally, b_tally)), side) == pytest.approx(true[name])
            assert getattr(done(compare_pairs(KNOWN[name], pairs)), side) == pytest.approx(true[name])
        auc = getattr(done(compare_arms(KNOWN["roc_auc"], a_tally, b_tally)), side)
        assert auc == pytest.approx(true["roc_auc"], abs=2e-3)  # scores on 200 bins


def test_shares_have_newcombes_interval_and_the_score_test() -> None:
    a, b = two_arms(2)
    (tp_a, _, fn_a, _), (tp_b, _, fn_b, _) = a.cells.tolist(), b.cells.tolist()
    found = done(compare_arms(KNOWN["recall"], a, b))
    theirs = confint_proportions_2indep(tp_b, tp_b + fn_b, tp_a, tp_a + fn_a, method="newcomb", compare="diff")
    assert found.ci95 == pytest.approx(theirs, abs=1e-9)
    pooled = stats.chi2_contingency([[tp_a, fn_a], [tp_b, fn_b]], correction=False).pvalue
    assert found.p_value == pytest.approx(pooled, abs=1e-9)
    assert (found.n, found.test) == (4_000, "newcombe")


def test_means_are_compared_as_scipy_does() -> None:
    rng = np.random.default_rng(3)
    paid = rng.gamma(2, 100, 300), rng.gamma(2, 120, 170)
    arms = [
        ArmTally.of(
            Answers(
                [0] * len(own), [0.1] * len(own), [0] * len(own), [0] * len(own), [1] * len(own), [None] * len(own)
            ),
            BINARY,
            outcome=own,
        )
        for own in paid
    ]
    found = done(compare_arms(KNOWN["outcome"], *arms))
    theirs = stats.ttest_ind(paid[1], paid[0], equal_var=False)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-12)
    assert found.ci95 == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-9)
    assert (found.n, found.gain) == (470, found.difference)
    cheaper = measures(BINARY, paired=False, greater_outcome_is_better=False)["outcome"]
    opposite = done(compare_arms(cheaper, *arms))
    assert opposite.gain == -found.gain
    assert opposite.chance == pytest.approx(1 - found.chance)
    assert opposite.gain_ci == (-found.sequential_ci[1], -found.sequential_ci[0])


def test_paired_values_are_compared_as_scipy_does() -> None:
    rng = np.random.default_rng(4)
    label = rng.normal(100, 20, 500)
    said = label + rng.normal(0, 6, 500), label + rng.normal(0, 5, 500)
    none = [np.nan] * 500
    sides = [Answers(own, none, [None] * 500, [0] * 500, [1] * 500, label) for own in said]
    pairs = PairTally.of(sides[0], sides[1], VALUE, scored=[True] * 500)
    known = measures(VALUE, paired=True)
    found = done(compare_pairs(known["mae"], pairs))
    misses = [np.abs(own - label) for own in said]
    theirs = stats.ttest_rel(misses[1], misses[0])
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-7)
    assert found.ci95 == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-9)
    rmse = done(compare_pairs(known["rmse"], pairs))
    both = [scored_rows("regression", label, prediction=own) for own in said]
    checked = paired_bootstrap("rmse", *both, draws=4_000, seed=1)
    assert rmse.difference == pytest.approx(checked.estimate, rel=1e-9)
    assert rmse.se == pytest.approx(checked.se, rel=0.06)
    assert rmse.gain == -rmse.difference
    arms = [ArmTally.of(own, VALUE) for own in sides]
    assert done(compare_arms(known["rmse"], *arms)).difference == pytest.approx(checked.estimate)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_that_of_statsmodels(only_a: int, only_b: int) -> None:
    found = mcnemar(only_a, only_b)
    table = [[7, only_a], [only_b, 9]]
    if only_a + only_b:
        assert found.exact == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue, abs=1e-9)
        chi_square = statsmodels_mcnemar(table, exact=False, correction=False).pvalue
        assert found.chi_square == pytest.approx(chi_square, abs=1e-9)
    assert found.mid_p <= found.exact <= 1
    assert mcnemar(only_b, only_a) == found


def test_mcnemar_counts_claims_that_one_had_right_alone() -> None:
    pairs = np.array([400, 30, 20, 15, 25, 5, 10, 60])
    tally = pairs_of(pairs)
    assert done(compare_pairs(KNOWN["accuracy"], tally)).p_value == mcnemar(5 + 20, 15 + 25).mid_p
    assert done(compare_pairs(KNOWN["recall"], tally)).p_value == mcnemar(5, 15).mid_p
    assert done(compare_pairs(KNOWN["recall"], tally)).chance == pytest.approx(stats.beta(16, 6).sf(0.5))
    a, b = cells_of(pairs)
    assert (a.tolist(), b.tolist()) == ([65, 35, 45, 420], [75, 30, 35, 425])


@pytest.mark.parametrize("name", DECISIONS)
def test_the_delta_method_has_the_bootstraps_error(name: str) -> None:
    a, b = two_arms(6)
    between = bootstrap_arms(KNOWN[name], a.cells, b.cells)
    found = done(compare_arms(KNOWN[name], a, b))
    assert found.difference == pytest.approx(between.estimate)
    assert found.se == pytest.approx(between.se, rel=0.05)
    assert found.ci95 == pytest.approx((between.lower, between.upper), abs=0.2 * between.se)
    pairs = one_pair(6)
    together = bootstrap_pairs(KNOWN[name], pairs.cells)
    paired = done(compare_pairs(KNOWN[name], pairs))
    assert paired.difference == pytest.approx(together.estimate)
    assert paired.se == pytest.approx(together.se, rel=0.05)
    assert paired.se < 0.5 * found.se  # from the same number of labels


def test_the_bootstrap_of_counts_is_that_of_rows() -> None:
    label, a, b, _ = rows(7, n=1_500)
    both = [scored_rows("classification", label, prediction=(own >= 0.5).astype(int), positive=1) for own in (a, b)]
    by_rows = paired_bootstrap("f1_score", *both, draws=4_000, seed=2)
    by_counts = bootstrap_pairs(KNOWN["f1_score"], one_pair(7, n=1_500).cells)
    assert by_counts.estimate == pytest.approx(by_rows.estimate)
    assert by_counts.se == pytest.approx(by_rows.se, rel=0.06)


def test_delong_has_the_error_of_the_bootstrap() -> None:
    label, a, b, _ = rows(8, n=3_000)
    arms = [ArmTally.of(answers(score, label), BINARY) for score in (a, b)]
    found = done(compare_arms(KNOWN["roc_auc"], *arms))
    rng = np.random.default_rng(8)
    draws = []
    for _ in range(300):
        values = []
        for score in (a, b):
            pick = rng.integers(0, 3_000, 3_000)
            ranks, own = stats.rankdata(score[pick]), label[pick] == 1
            count = own.sum()
            values.append((ranks[own].sum() - count * (count + 1) / 2) / count / (3_000 - count))
        draws.append(values[1] - values[0])
    assert found.se == pytest.approx(np.std(draws), rel=0.15)


def test_a_real_gain_is_found_and_its_chance_is_near_one() -> None:
    found = done(compare_pairs(KNOWN["recall"], one_pair(9, gain=0.5)))
    assert found.gain > 0
    assert found.sequential_p < 0.01
    assert found.chance > 0.999
    assert found.gain_ci[0] > 0
    assert found.ci95[0] > found.sequential_ci[0]
    cost = done(compare_pairs(KNOWN["cost"], one_pair(9, gain=0.5)))
    assert cost.difference < 0 < cost.gain
    assert cost.chance > 0.999


@pytest.mark.parametrize("name", [*DECISIONS, "brier", "roc_auc", "outcome"])
def test_too_few_say_so(name: str) -> None:
    a, b = two_arms(10, n=50)
    found = compare_arms(KNOWN[name], a, b)
    assert isinstance(found, Unknown)
    assert "of at least 30" in found.why
    if name not in ("roc_auc", "outcome"):
        assert isinstance(compare_pairs(KNOWN[name], one_pair(10, n=25)), Unknown)


def test_values_that_do_not_vary_are_not_computable() -> None:
    same = Answers([1.0] * 40, [np.nan] * 40, [None] * 40, [0] * 40, [1] * 40, [2.0] * 40)
    arm, known = ArmTally.of(same, VALUE), measures(VALUE, paired=True)
    for found in (
        compare_arms(known["mae"], arm, arm),
        compare_arms(known["rmse"], arm, arm),
        compare_pairs(known["mae"], PairTally.of(same, same, VALUE, scored=[True] * 40)),
    ):
        assert isinstance(found, Unknown)
        assert found.why.startswith("not computable")


def test_epochs_are_weighted_and_not_pooled() -> None:
    """A week of many errors in which B has most units: pooled, B looks worse; B is better in both weeks."""
    weeks = [((8_100, 900), (870, 80)), ((500, 500), (4_700, 4_300))]
    parts, sums = [], np.zeros((2, 2))
    accuracy = KNOWN["accuracy"]
    for (right_a, wrong_a), (right_b, wrong_b) in weeks:
        arms = [arm_of([right_a, 0, wrong_a, 0]), arm_of([right_b, 0, wrong_b, 0])]
        sums += [[right_a, wrong_a], [right_b, wrong_b]]
        parts.append(done(compare_arms(accuracy, *arms)))
    assert all(part.difference > 0 for part in parts)
    assert sums[1, 0] / sums[1].sum() < sums[0, 0] / sums[0].sum()
    found = over_epochs(parts)
    assert 0 < found.difference < max(part.difference for part in parts)
    assert found.se < min(part.se for part in parts)
    assert found.n == sum(part.n for part in parts)
    assert over_epochs(parts[:1]) == parts[0]
    with pytest.raises(ValueError, match="parts must be of one metric"):
        over_epochs([])


def test_unknown_and_repeated_metrics_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"must be one of accuracy, precision, .* but got 'f2'"):
        chosen(["accuracy", "f2"], KNOWN)
    with pytest.raises(ValueError, match="must be different but got recall twice"):
        chosen(["recall", "recall"], KNOWN)
    assert [measure.name for measure in chosen(["f1_score", "precision"], KNOWN)] == ["f1_score", "precision"]
    assert [*measures(Shape("classification", (1, 2, 3)), paired=True)] == ["accuracy"]
    with pytest.raises(ValueError, match="pairs hold no ranking"):
        compare_pairs(Measure("roc_auc", "ranking", True), one_pair(1))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("name", DECISIONS)
def test_intervals_cover_the_truth(name: str, paired: bool) -> None:
    """800 claims, of which 20 % are positive: 19 in 20 intervals hold the true difference."""
    rng, kind = np.random.default_rng(17), KNOWN[name]
    shares = np.array([0.62, 0.01, 0.05, 0.015, 0.06, 0.03, 0.05, 0.165])
    true = bootstrap_truth(kind, shares)
    held = []
    for drawn in rng.multinomial(800, shares, 1_500):
        if paired:
            found = done(compare_pairs(kind, pairs_of(drawn)))
        else:
            other = rng.multinomial(800, shares)
            found = done(compare_arms(kind, *map(arm_of, (cells_of(drawn)[0], cells_of(other)[1]))))
        held.append(found.ci95[0] <= true <= found.ci95[1])
    assert 0.935 <= np.mean(held) <= 0.967


def bootstrap_truth(kind: Measure, shares: np.ndarray) -> float:
    a, b = cells_of(shares)
    return float(b @ kind.top / (b @ kind.bottom) - a @ kind.top / (a @ kind.bottom))


def test_of_forty_looks_at_two_equal_models_hardly_one_experiment_calls_a_winner() -> None:
    rng, kind = np.random.default_rng(19), KNOWN["recall"]
    shares = np.array([0.874, 0.005, 0.019, 0.005, 0.019, 0.005, 0.038, 0.035])
    always = fixed = 0
    for _ in range(100):
        drawn = np.cumsum(rng.multinomial(750, shares, 40), axis=0)
        seen = [compare_pairs(kind, pairs_of(cells), tuned_at=15_000) for cells in drawn]
        known = [each for each in seen if isinstance(each, Comparison)]
        always += any(each.sequential_p <= 0.05 for each in known)
        fixed += any(each.p_value <= 0.05 for each in known)
    assert always <= 5
    assert fixed >= 15
