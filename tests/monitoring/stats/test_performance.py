"""Metrics from tallies are those of the rows, and their intervals hold what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from mlops_site.stats.intervals import bootstrap
from mlops_site.stats.metrics import evaluate
from mlops_site.stats.scored import scored_rows
from monitoring.stats.performance import Metric, degradation, headline, realised
from monitoring.stats.tally import Answers, Shape, Tally

BINARY = Shape("classification", ("no", "yes"), "yes")
VALUE = Shape("regression")


def binary_rows(n: int, seed: int = 0, share: float = 0.3) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(seed)
    truth = (random.random(n) < share).astype(int)
    score = np.clip(0.3 * truth + random.uniform(0, 0.7, n), 0, 1)
    return truth, score, (score >= 0.5).astype(int)


def binary_tally(truth: Any, score: Any, decision: Any) -> Tally:
    names = np.array(["no", "yes"], dtype=object)
    labels, said = names[truth].tolist(), names[decision].tolist()
    return Tally.of(Answers(said, score, decision.tolist(), [0] * len(truth), [1.0] * len(truth), labels), BINARY)


def value_tally(truth: Any, said: Any) -> Tally:
    n = len(truth)
    return Tally.of(Answers(list(said), [np.nan] * n, [None] * n, [0] * n, [1.0] * n, list(truth)), VALUE)


def by_name(tally: Tally) -> dict[str, Metric]:
    return {metric.name: metric for metric in realised(tally)}


def test_two_classes_have_scikit_learns_values() -> None:
    truth, score, decision = binary_rows(2000)
    found = by_name(binary_tally(truth, score, decision))
    binned = np.floor(score * 200)
    assert {name: metric.value for name, metric in found.items()} == pytest.approx(
        {
            "f1_score": sk.f1_score(truth, decision),
            "precision": sk.precision_score(truth, decision),
            "recall": sk.recall_score(truth, decision),
            "accuracy": sk.accuracy_score(truth, decision),
            "roc_auc": sk.roc_auc_score(truth, binned),
            "average_precision": sk.average_precision_score(truth, binned),
            "brier": sk.brier_score_loss(truth, score),
        }
    )
    assert found["roc_auc"].value == pytest.approx(sk.roc_auc_score(truth, score), abs=0.002)
    assert {metric.n for metric in found.values()} == {2000}


def test_several_classes_are_averaged_as_scikit_learn_does() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 4, 900)
    said = np.where(random.random(900) < 0.6, truth, random.integers(0, 3, 900))
    shape = Shape("classification", (0, 1, 2, 3, 9))
    tally = Tally.of(Answers(said.tolist(), [np.nan] * 900, [None] * 900, [0] * 900, [1] * 900, truth.tolist()), shape)
    found = by_name(tally)
    assert {name: metric.value for name, metric in found.items()} == pytest.approx(
        {
            "f1_score": sk.f1_score(truth, said, average="macro"),
            "precision": sk.precision_score(truth, said, average="macro", zero_division=0),
            "recall": sk.recall_score(truth, said, average="macro"),
            "accuracy": sk.accuracy_score(truth, said),
        }
    )
    rows = scored_rows("classification", truth, prediction=said, classes=[0, 1, 2, 3])
    for name in ("f1_score", "precision", "recall"):
        drawn = bootstrap(name, rows, draws=2000)
        assert found[name].ci95 == pytest.approx((drawn.lower, drawn.upper), abs=0.005), name


def test_values_have_scikit_learns_errors_and_the_bootstraps_intervals() -> None:
    random = np.random.default_rng(2)
    truth = random.gamma(2, 400, 1500)
    said = 0.7 * truth + 200 + random.normal(0, 150, 1500)
    found = by_name(value_tally(truth, said))
    every, kept = evaluate("regression", truth, prediction=said), ("mae", "rmse", "r2")  # of which sums say all
    assert {name: metric.value for name, metric in found.items()} == pytest.approx({name: every[name] for name in kept})
    rows = scored_rows("regression", truth, prediction=said)
    for name in kept:
        drawn = bootstrap(name, rows, draws=3000)
        assert found[name].ci95 == pytest.approx((drawn.lower, drawn.upper), rel=0.03), name


def test_the_areas_error_is_delongs() -> None:
    truth, score, decision = binary_rows(400, seed=3)
    found = by_name(binary_tally(truth, score, decision))["roc_auc"]
    binned = np.floor(score * 200)
    positive, negative = binned[truth == 1], binned[truth == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)
    low, high = np.log(np.array(found.ci95) / (1 - np.array(found.ci95)))
    error = (high - low) / 2 / 1.959964 * found.value * (1 - found.value)
    assert error == pytest.approx(np.sqrt(variance), rel=1e-6)


@pytest.mark.parametrize("name", ["f1_score", "recall", "roc_auc", "brier"])
def test_the_intervals_of_two_classes_hold_the_truth_nineteen_times_in_twenty(name: str) -> None:
    truth, score, decision = binary_rows(100_000, seed=4)
    real = by_name(binary_tally(truth, score, decision))[name].value
    held = 0
    for seed in range(300):
        low, high = by_name(binary_tally(*binary_rows(150, seed=100 + seed)))[name].ci95 or (2.0, 2.0)
        held += low <= real <= high
    assert 0.92 <= held / 300 <= 0.98


def test_a_metric_without_a_value_is_left_out() -> None:
    none = np.zeros(5, dtype=int)
    assert list(by_name(binary_tally(none, none + 0.1, none))) == ["accuracy", "brier"]
    assert realised(Tally.empty(BINARY)) == []
    assert list(by_name(value_tally([7.0, 7.0], [6.0, 8.0]))) == ["mae", "rmse"]


def test_nothing_found_has_an_interval_that_is_not_a_point() -> None:
    truth = np.array([1, 1] + [0] * 98)
    found = by_name(binary_tally(truth, truth * 0.0, truth * 0))["f1_score"]
    assert found.value == 0.0
    assert found.ci95 is not None
    assert found.ci95[1] > 0.7


def test_one_row_has_values_without_intervals() -> None:
    found = by_name(value_tally([2.0], [3.0]))
    assert (found["mae"].value, found["mae"].ci95) == (1.0, None)


def test_labels_far_from_nought_leave_r2_without_an_interval() -> None:
    truth = 1e9 + np.random.default_rng(5).normal(0, 1, 50)
    found = by_name(value_tally(truth, truth + 0.5)).get("r2")
    assert found is None or found.ci95 is None


class TestDegradation:
    def judge(self, value: float, width: float, n: int = 500, baseline: float = 0.80, name: str = "f1_score") -> bool:
        shape = VALUE if name in ("mae", "rmse", "r2") else BINARY
        metric = Metric(name, value, (value - width, value + width), n)
        found = degradation([metric], {name: baseline}, shape=shape, threshold=0.05, min_samples=100)
        assert found is not None
        return found.degraded

    def test_a_drop_must_be_large_enough_and_certain_and_on_enough_rows(self) -> None:
        assert self.judge(0.75, 0.02)
        assert not self.judge(0.76, 0.02)
        assert not self.judge(0.70, 0.11)
        assert not self.judge(0.70, 0.02, n=99)

    def test_better_is_never_worse(self) -> None:
        assert not self.judge(0.90, 0.02)
        assert not self.judge(80.0, 2.0, baseline=100.0, name="mae")

    def test_an_error_is_measured_by_its_baseline(self) -> None:
        assert self.judge(106.0, 2.0, baseline=100.0, name="mae")
        assert not self.judge(104.0, 2.0, baseline=100.0, name="mae")
        assert self.judge(0.5, 0.1, baseline=0.0, name="rmse")

    def test_the_first_headline_metric_with_a_baseline_counts(self) -> None:
        metrics = [Metric("f1_score", 0.1, (0.0, 0.2), 500), Metric("accuracy", 0.9, (0.88, 0.92), 500)]
        found = degradation(metrics, {"accuracy": 0.9}, shape=BINARY, threshold=0.05, min_samples=100)
        assert found is not None
        assert (found.metric, found.degraded) == ("accuracy", False)
        assert degradation(metrics, {"recall": 0.9}, shape=BINARY, threshold=0.05, min_samples=100) is None

    def test_each_shape_has_its_headline(self) -> None:
        assert headline(BINARY)[0] == "f1_score"
        assert headline(Shape("classification", (1, 2, 3)))[0] == "accuracy"
        assert headline(VALUE)[0] == "mae"
