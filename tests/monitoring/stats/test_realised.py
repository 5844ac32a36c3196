"""What a tally and a breakdown say, against scikit-learn and this project's own metrics on the rows themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from mlops_site.stats.metrics import evaluate
from monitoring.stats.amounts import actual_over_expected, gini, mean_absolute, pairs, root_mean_square
from monitoring.stats.breakdown import Breakdown
from monitoring.stats.calibration import Calibration, calibration
from monitoring.stats.followup import known_after, lags, overrides, quantile_secs
from monitoring.stats.layout import LAG_EDGES
from monitoring.stats.performance import Metric
from monitoring.stats.realised import all_realised, cost_per_row, is_better
from monitoring.stats.shape import Shape
from monitoring.stats.tally import Tally
from tests.monitoring.stats.followed import followed

BINARY = Shape("classification", (0, 1), 1)
VALUE = Shape("regression")


def two(n: int, seed: int, *, bend: float = 1.0) -> tuple[Any, Any]:
    """Scores, and truths that have the chance score ** bend."""
    random = np.random.default_rng(seed)
    score = random.beta(1, 3, n)
    return score, (random.random(n) < score**bend).astype(int)


def told(score: Any, truth: Any) -> tuple[Tally, Breakdown]:
    rows = followed((score >= 0.5).astype(int).tolist(), truth.tolist(), score=score)
    return Tally.of(rows.answers, BINARY), Breakdown.of(rows, BINARY, {})


def calibrated(score: Any, truth: Any) -> Calibration:
    found = calibration(told(score, truth)[0])
    assert found is not None
    return found


def amounts(said: Any, truth: Any) -> Breakdown:
    return Breakdown.of(followed(said.tolist(), truth.tolist()), VALUE, {})


def named(metrics: list[Metric]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


class TestClasses:
    def test_average_precision_is_that_of_the_rows_within_the_width_of_a_bin(self) -> None:
        score, truth = two(3_000, 1, bend=0.7)
        found = named(all_realised(*told(score, truth)))["average_precision"]
        assert found.value == pytest.approx(average_precision_score(truth, score), abs=0.005)
        coarse = np.floor(score * 200) / 200  # what shares a bin is one step
        again = named(all_realised(*told(coarse + 0.001, truth)))["average_precision"]
        assert again.value == pytest.approx(average_precision_score(truth, coarse), abs=1e-12)

    def test_the_calibration_error_and_curve_are_those_of_the_rows(self) -> None:
        score, truth = two(5_000, 2, bend=1.5)
        found = calibrated(score, truth)
        parts = np.minimum((score * 10).astype(int), 9)
        exact = sum(abs((score - truth)[parts == part].sum()) for part in range(10)) / len(score)
        assert found.error.value == pytest.approx(exact, abs=0.0025)
        shares, means = calibration_curve(truth, score, n_bins=10)
        assert found.curve.observed == pytest.approx(shares.tolist(), abs=1e-12)
        assert found.curve.predicted == pytest.approx(means.tolist(), abs=0.0025)
        assert found.gap.value == pytest.approx(float((score - truth).mean()), abs=0.0025)

    def test_the_slope_is_that_of_a_logistic_regression_on_the_logit(self) -> None:
        score, truth = two(20_000, 3, bend=1.3)
        centres = (np.floor(score * 200) + 0.5) / 200
        logit = np.log(centres / (1 - centres)).reshape(-1, 1)
        fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(logit, truth)
        found = calibrated(score, truth).slope
        assert found is not None
        assert found.value == pytest.approx(float(fitted.coef_[0, 0]), abs=1e-5)
        assert found.ci95 is not None
        assert not found.ci95[0] <= 1 <= found.ci95[1]

    def test_intervals_hold_what_they_promise(self) -> None:
        """Of 200 windows of 2,000 labels: right scores, whose error is nought, and bent ones, whose error is known."""
        big = np.random.default_rng(0).beta(1, 3, 1_000_000)
        parts = np.minimum((big * 10).astype(int), 9)
        bent = sum(abs((big - big**1.5)[parts == part].sum()) for part in range(10)) / len(big)
        for bend, error in ((1.0, 0.0), (1.5, bent)):
            found = [calibrated(*two(2_000, seed, bend=bend)) for seed in range(200)]
            held = [each.error.ci95 is not None and each.error.ci95[0] <= error <= each.error.ci95[1] for each in found]
            assert np.mean(held) > 0.9
            if bend == 1:
                assert np.mean([each.error.value for each in found]) == pytest.approx(found[0].chance, rel=0.1)

    def test_what_mistakes_cost_is_the_mean_over_the_rows_whatever_the_positive_class(self) -> None:
        score, truth = two(500, 4)
        costs = {"false_positive": 40.0, "false_negative": 500.0, "true_positive": 5.0}
        said = score >= 0.5
        each = np.select([said & (truth == 1), said, truth == 1], [5.0, 40.0, 500.0], 0.0)
        tally, _ = told(score, truth)
        found = cost_per_row(tally, costs)
        assert found is not None
        assert found.value == pytest.approx(float(each.mean()), rel=1e-12)
        half = 1.959964 * each.std(ddof=1) / np.sqrt(len(each))
        assert found.ci95 == pytest.approx((each.mean() - half, each.mean() + half), rel=1e-3)
        other = Shape("classification", ("bad", "good"), "bad")
        rows = followed(np.where(said, "bad", "good").tolist(), np.where(truth == 1, "bad", "good").tolist())
        again = cost_per_row(Tally.of(rows.answers, other), costs)
        assert again is not None
        assert again.value == found.value

    def test_of_nothing_there_is_no_figure(self) -> None:
        empty, nothing = Tally.empty(BINARY), Breakdown.empty(BINARY)
        assert all_realised(empty, nothing, {"false_positive": 1.0}) == []
        assert calibration(empty) is None
        assert all_realised(Tally.empty(VALUE), Breakdown.empty(VALUE)) == []

    def test_one_row_and_one_class_have_figures_without_intervals(self) -> None:
        found = named(all_realised(*told(np.array([0.7]), np.array([1]))))
        assert found["calibration_error"].ci95 is None
        assert "calibration_slope" not in found
        assert found["average_precision"].value == 1.0


class TestValues:
    def test_actual_over_expected_and_the_errors_are_those_of_the_rows(self) -> None:
        random = np.random.default_rng(5)
        said = random.gamma(2.0, 500.0, 700).round(2)
        truth = random.gamma(1.0, 1.1 * said)
        found = pairs(amounts(said, truth).part("pairs"))
        ratio = actual_over_expected(found)
        assert ratio is not None
        assert ratio.value == pytest.approx(float(truth.sum() / said.sum()), rel=1e-14)
        spread = (truth - ratio.value * said).std(ddof=1) / np.sqrt(700) / said.mean()
        assert ratio.ci95 == pytest.approx((ratio.value - 1.959964 * spread, ratio.value + 1.959964 * spread), rel=1e-6)
        exact = evaluate("regression", truth, prediction=said, metrics=["mae", "rmse"])
        assert mean_absolute(found)[:2][1] == pytest.approx(exact["mae"], rel=1e-14)  # type: ignore[index]
        assert root_mean_square(found)[:2][1] == pytest.approx(exact["rmse"], rel=1e-12)  # type: ignore[index]

    @pytest.mark.parametrize(("spread", "within"), [(1.0, 0.002), (0.1, 0.015)])
    def test_gini_is_that_of_the_rows_within_the_width_of_its_bins(self, spread: float, within: float) -> None:
        """Predictions over several factors of two, and such that lie within a tenth of each other."""
        random = np.random.default_rng(6)
        said = random.lognormal(6, spread, 2_000)
        truth = random.gamma(1.0, said)
        found = gini(amounts(said, truth))
        assert found is not None
        exact = evaluate("regression", truth, prediction=said, metrics=["gini"])["gini"]
        assert found.value == pytest.approx(exact, abs=within)
        assert found.ci95 is not None
        assert found.ci95[0] < exact < found.ci95[1]

    def test_ginis_interval_holds_what_it_promises(self) -> None:
        def draw(n: int, seed: int) -> tuple[Any, Any]:
            random = np.random.default_rng(seed)
            said = random.lognormal(5, 1, n)
            return said, np.where(random.random(n) < 0.4, 0.0, random.gamma(0.5, 2 * said))

        said, truth = draw(300_000, 0)
        exact = evaluate("regression", truth, prediction=said, metrics=["gini"])["gini"]
        found = [gini(amounts(*draw(800, seed))) for seed in range(1, 151)]
        assert np.mean([f is not None and f.ci95 is not None and f.ci95[0] <= exact <= f.ci95[1] for f in found]) > 0.9

    def test_a_negative_truth_or_nothing_to_order_has_no_gini(self) -> None:
        assert gini(amounts(np.array([1.0, 2.0]), np.array([-1.0, 2.0]))) is None
        assert gini(amounts(np.array([1.0, 2.0]), np.array([3.0, 3.0]))) is None
        assert gini(amounts(np.array([1.0]), np.array([3.0]))) is None

    def test_a_value_too_large_to_square_is_left_out_of_sums_by_bin_alone(self) -> None:
        found = amounts(np.array([1.0, 1e15]), np.array([2.0, 1e15]))
        assert pairs(found.part("pairs")).n == 1


class TestFollowUp:
    def test_lags_are_counted_by_when_they_came_and_quantiles_are_near(self) -> None:
        secs = np.random.default_rng(7).lognormal(12, 1.5, 4_000)
        rows = followed([1] * 4_000, [1] * 4_000)._replace(received_lag=secs)
        tally, found = Tally.of(rows.answers, BINARY), Breakdown.of(rows, BINARY, {})
        received = lags(tally, found).received
        assert (received.n, lags(tally, found).observed.n) == (4_000, 0)
        for share, value in ((0.5, received.p50_secs), (0.9, received.p90_secs), (0.99, received.p99_secs)):
            assert value == pytest.approx(float(np.quantile(secs, share)), rel=0.26)
        known = known_after(found.part("received_lag"), 8_000)
        assert known[-1][1] == 0.5
        at = float(LAG_EDGES[60])
        assert dict(known)[at] == pytest.approx(float((secs < at + 1).mean()) / 2)

    def test_a_label_before_its_answer_has_the_shortest_lag(self) -> None:
        rows = followed([1], [1])._replace(received_lag=np.array([-500.0]))
        counts = Breakdown.of(rows, BINARY, {}).part("received_lag")
        assert counts[0] == 1
        assert quantile_secs(counts, 0.5) == 1.0

    def test_overrides_by_direction_and_by_who_was_right(self) -> None:
        rows = followed([1, 1, 0, 0, 1], [1, 0, 1, None, 0], human=[1, 0, 1, 1, None])
        found = overrides(Breakdown.of(rows, BINARY, {}).part("decisions"))
        assert (found.reviewed, found.overridden, found.raised, found.lowered) == (4, 3, 2, 1)
        assert (found.human_right, found.model_right, found.rate) == (2, 0, 0.75)
        assert found.ci95 == pytest.approx((0.3006, 0.9544), abs=1e-4)

    def test_of_values_whoever_was_nearer_was_right(self) -> None:
        rows = followed([100.0, 100.0, 100.0], [150.0, 90.0, None], human=[140.0, 140.0, 100.0])
        found = overrides(Breakdown.of(rows, VALUE, {}).part("decisions"))
        assert (found.reviewed, found.overridden, found.raised, found.human_right, found.model_right) == (3, 2, 2, 1, 1)

    def test_which_way_is_better(self) -> None:
        assert is_better("calibration_slope", 0.95, 0.8)
        assert not is_better("cost_per_row", 4.0, 3.0)
        assert is_better("f1_score", 0.7, 0.7) is None
        assert is_better("unheard_of", 0.7, 0.6) is None
