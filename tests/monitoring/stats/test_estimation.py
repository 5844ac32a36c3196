"""Estimates against what the labels say, against the formulas of the metrics, and against a slow one of CBPE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression

from mlops_site.stats.heldout import HeldOut, score_bins
from mlops_site.stats.losses import Losses
from mlops_site.stats.metrics import evaluate
from mlops_site.stats.profile import profile, reference_bins
from mlops_site.stats.scored import Floats
from monitoring.stats.estimation import Cbpe, Estimate, estimator_of, expected, formulas
from monitoring.stats.performance import realised
from monitoring.stats.tally import Answers, Shape, Tally

SHAPE = Shape("classification", ("no", "yes"), "yes")
NAMES = ["accuracy", "precision", "recall", "f1_score", "roc_auc", "average_precision", "brier"]


def drawn(rows: int, seed: int, *, a: float = 2.0, drift: float = 0.0) -> tuple[Floats, Any]:
    """Scores that are too sure of themselves, and labels; another `a` is covariate shift, `drift` concept drift."""
    random = np.random.default_rng(seed)
    score = random.beta(a, 5, rows)
    return score, random.random(rows) < np.clip(score**1.3 - drift, 0, 1)


def learnt(threshold: float, *, rows: int = 20_000, seed: int = 0) -> Cbpe:
    return Cbpe.from_held_out(HeldOut.of(*drawn(rows, seed), threshold))


def said(by: Cbpe, score: Floats) -> dict[str, Estimate]:
    return {one.name: one for one in expected(np.bincount(score_bins(score), minlength=200), by.by)}


def came(score: Floats, truth: Any, threshold: float) -> dict[str, float]:
    known: dict[str, Any] = {"positive": 1, "classes": [0, 1], "metrics": NAMES}
    return evaluate(
        "classification", truth.astype(int), prediction=(score >= threshold).astype(int), score=score, **known
    )


def test_without_drift_nothing_is_biased_and_the_band_covers_nineteen_of_twenty() -> None:
    """200 windows of another mixture of scores, each with a calibration of its own."""
    misses: dict[str, list[float]] = {name: [] for name in NAMES}
    for seed in range(200):
        score, truth = drawn(2_000, 1_000 + seed, a=3.0)
        found, real = said(learnt(0.3, rows=4_000, seed=seed), score), came(score, truth, 0.3)
        for name in NAMES:
            misses[name].append((found[name].value - real[name]) / found[name].error)
    for name, own in misses.items():
        assert abs(np.mean(own)) < (0.5 if name == "average_precision" else 0.35), name  # of a standard error
        assert 0.90 <= np.mean(np.abs(own) <= 1.96) <= 0.985, name
    every = np.abs(np.concatenate([*misses.values()])) <= 1.96
    assert 0.93 <= every.mean() <= 0.97


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.337, 0.5])
def test_the_histogram_says_what_the_rows_do(threshold: float) -> None:
    """CBPE row by row, as it is published: isotonic regression on the scores, then sums of probabilities."""
    held, truth = drawn(20_000, 3)
    score, _ = drawn(5_000, 4, a=3.0)
    chance = IsotonicRegression(out_of_bounds="clip").fit(held, truth).predict(score)
    yes = score >= threshold
    order = np.argsort(score)
    below = np.cumsum((1 - chance)[order])[np.argsort(order)] - (1 - chance)
    slow = {
        "accuracy": (chance[yes].sum() + (1 - chance[~yes]).sum()) / len(score),
        "precision": chance[yes].mean(),
        "recall": chance[yes].sum() / chance.sum(),
        "f1_score": 2 * chance[yes].sum() / (yes.sum() + chance.sum()),
        "roc_auc": float((chance * below).sum() / (chance.sum() * (1 - chance).sum())),
        "brier": np.mean(chance * (1 - score) ** 2 + (1 - chance) * score**2),
    }
    found = said(Cbpe.from_held_out(HeldOut.of(held, truth, threshold)), score)
    assert {name: found[name].value for name in slow} == pytest.approx(slow, abs=0.003)


def test_known_outcomes_give_the_metrics_themselves() -> None:
    """With the share of positives of each cell put in for its chance, the formulas are those of the registry."""
    score, truth = drawn(5_000, 5)
    score = (score_bins(score) + 0.5) / 200
    cells = score_bins(score) + (score >= 0.3)
    rows, positive = (np.bincount(cells[side], minlength=201).astype(float) for side in (slice(None), truth))
    found = formulas(rows, positive, 61)
    real = came(score, truth, 0.3)
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(real, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_slope_is_what_one_more_positive_changes(name: str) -> None:
    random = np.random.default_rng(8)
    rows = random.integers(0, 60, 201).astype(float)
    positive = np.minimum(np.floor(rows * random.random(201)), rows)
    value, slope = formulas(rows, positive, 60)[name]
    for cell in (3, 59, 60, 150):
        more = positive.copy()
        more[cell] += 1e-5
        assert (formulas(rows, more, 60)[name][0] - value) / 1e-5 == pytest.approx(slope[cell], abs=1e-7)


def test_without_answers_or_without_positives_what_has_no_value_is_left_out() -> None:
    by = learnt(0.3).by
    assert expected(np.zeros(200, dtype=np.int64), by) == []
    never = HeldOut.of(np.linspace(0, 1, 200), np.arange(200) >= 150, 0.9).calibration()
    low = np.bincount([10], weights=[50], minlength=200).astype(np.int64)
    assert {one.name for one in expected(low, never)} == {"accuracy", "brier"}
    one = np.bincount([120], minlength=200)
    assert all(np.isfinite([each.value, each.error]).all() for each in expected(one, by))


def test_a_tally_tells_labelled_answers_from_all() -> None:
    score, truth = drawn(3_000, 6)
    label = [("yes" if each else "no") if place < 1_000 else None for place, each in enumerate(truth)]
    decision = (score >= 0.3).astype(int)
    parts = np.array(["no", "yes"])[decision], score, decision, np.zeros(3_000, bool), np.full(3_000, 2.0), label
    tally, by = Tally.of(Answers(*parts), SHAPE), learnt(0.3)
    everything, labelled = by.of(tally, None), by.of_labelled(tally, None)
    assert {one.n for one in everything} == {3_000}
    assert {one.n for one in labelled} == {1_000}
    assert {one.name: one.value for one in labelled} == pytest.approx(
        {name: one.value for name, one in said(by, score[:1_000]).items()}
    )
    assert {one.name for one in realised(tally)} <= {one.name for one in labelled}


@pytest.mark.parametrize(
    ("held_out", "shape", "why"),
    [
        (None, SHAPE, "registered without scores of rows held out"),
        (None, Shape("regression"), "registered without losses by what was asked"),
        (b"SHO1nonsense", SHAPE, "cannot be read: held-out scores must be intact"),
        (HeldOut.of([0.1] * 20, [False] * 20, 0.5).to_bytes(), SHAPE, "takes 100 held-out rows"),
        (HeldOut.of([0.1] * 20, [False] * 20, 0.5).to_bytes(), Shape("regression"), "losses must begin with"),
    ],
)
def test_where_nothing_can_be_estimated_it_says_why(held_out: bytes | None, shape: Shape, why: str) -> None:
    estimator, said = estimator_of(held_out, shape, None)
    assert estimator is None
    assert said.startswith("not computable: ")
    assert why in said


class TestLosses:
    """Direct loss estimation, of three classes and of values: right of four in five young, of half of the old."""

    frame = pd.DataFrame({"age": np.random.default_rng(2).uniform(20, 80, 4_000)})
    bins = reference_bins(frame, {"age": "number"}, salt="tests")

    def missed(self, frame: pd.DataFrame, seed: int) -> Floats:
        share = np.where(frame["age"] > 50, 0.5, 0.2)
        return (np.random.default_rng(seed).random(len(frame)) < share).astype(float)

    def test_accuracy_of_three_classes_by_what_was_asked(self) -> None:
        learnt = Losses.fit(self.frame, {"accuracy": self.missed(self.frame, 1)}, self.bins, said=None)
        assert learnt is not None
        shape = Shape("classification", ("a", "b", "c"))
        estimator, why = estimator_of(learnt.to_bytes(), shape, self.bins)
        assert estimator is not None, why
        old = self.frame[self.frame["age"] > 60]
        parts = ["a"] * len(old), [np.nan] * len(old), [None] * len(old), [False] * len(old), [1.0] * len(old)
        came = self.missed(old, 3)
        tally = Tally.of(Answers(*parts, ["b" if miss else "a" for miss in came]), shape)
        (found,) = estimator.of(tally, profile(old, self.bins))
        assert (found.name, found.n) == ("accuracy", len(old))
        assert found.value == pytest.approx(1 - came.mean(), abs=0.05)
        assert found.ci95[0] < 1 - came.mean() < found.ci95[1]
        assert estimator.of_labelled(tally, profile(old, self.bins)) == [found]
        none = Tally.of(Answers(*parts, [None] * len(old)), shape)
        assert estimator.of_labelled(none, profile(old, self.bins)) == []
        assert estimator.of(tally, None) == []

    def test_errors_of_values_and_the_reference_they_belong_to(self) -> None:
        error = np.random.default_rng(4).normal(0, np.where(self.frame["age"] > 50, 30, 10))
        losses = {"mae": np.abs(error), "rmse": np.square(error)}
        learnt = Losses.fit(self.frame, losses, self.bins, said=np.full(4_000, 100.0))
        assert learnt is not None
        shape = Shape("regression")
        estimator, _ = estimator_of(learnt.to_bytes(), shape, self.bins)
        assert estimator is not None
        n = 4_000
        parts = [100.0] * n, [np.nan] * n, [None] * n, [False] * n, [1.0] * n, [None] * n
        tally, seen = Tally.of(Answers(*parts), shape), profile(self.frame, self.bins)
        found = {one.name: one.value for one in estimator.of(tally, seen)}
        assert found["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
        assert found["rmse"] == pytest.approx(np.sqrt(np.square(error).mean()), rel=1e-4)
        assert estimator_of(learnt.to_bytes(), shape, None)[1].startswith("not computable: the version's reference")
