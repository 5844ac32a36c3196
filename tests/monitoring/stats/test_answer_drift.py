"""Answers and labels against what they were, and columns that came or went."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlops_site.stats.profile import profile, reference_bins
from monitoring.stats.answer_drift import AnswerDrift, answer_drift
from monitoring.stats.fields import fields
from monitoring.stats.tally import Answers, Shape, Tally

BINARY = Shape("classification", ("no", "yes"), "yes")
THREE = Shape("classification", ("a", "b", "c"))
VALUE = Shape("regression")


def tally(shape: Shape, said: Any, scores: Any = None, label: Any = None) -> Tally:
    n = len(said)
    scores = np.full(n, np.nan) if scores is None else scores
    nothing = [None] * n
    return Tally.of(Answers(said, scores, nothing, [False] * n, np.ones(n), label or nothing), shape)


def judged(now: Tally, before: Tally) -> dict[str, AnswerDrift]:
    return {row.subject: row for row in answer_drift(now, before, q=0.02, effect=0.1)}


def binary(seed: int, n: int, shift: float = 0.0, rate: float = 0.3) -> tuple[Tally, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = np.clip(random.beta(2, 5, n) + shift, 0, 1)
    truth = ["yes" if yes else "no" for yes in random.random(n) < rate]
    return tally(BINARY, ["yes" if score >= 0.5 else "no" for score in scores], scores, truth), scores


def test_the_same_answers_have_not_drifted() -> None:
    found = judged(binary(0, 2_000)[0], binary(1, 2_000)[0])
    assert list(found) == ["score", "prediction", "label"]
    assert not any(row.drifted for row in found.values())


def test_scores_that_moved_have_scipys_distance() -> None:
    (now, ours), (before, theirs) = binary(0, 2_000, shift=0.1), binary(1, 3_000)
    found = judged(now, before)["score"]
    assert found.drifted
    assert found.statistic == pytest.approx(stats.ks_2samp(ours, theirs).statistic, abs=0.02)  # within a bin
    assert found.now == pytest.approx(ours.mean(), abs=0.01)
    assert (found.n, found.m) == (2_000, 3_000)


def test_labels_that_became_rarer_are_seen_apart_from_answers() -> None:
    found = judged(binary(0, 2_000, rate=0.15)[0], binary(1, 2_000)[0])
    assert [name for name, row in found.items() if row.drifted] == ["label"]
    assert (found["label"].now, found["label"].before) == pytest.approx((0.85, 0.7), abs=0.03)
    assert found["label"].level == "no"


def test_of_three_classes_answers_and_labels_are_counted() -> None:
    random = np.random.default_rng(0)
    sides = [random.choice(list("abc"), 1_000, p=p).tolist() for p in ([0.6, 0.2, 0.2], [0.3, 0.4, 0.3])]
    found = judged(tally(THREE, sides[0], label=sides[0]), tally(THREE, sides[1], label=sides[1]))
    assert list(found) == ["prediction", "label"]
    assert all(row.drifted and row.level == "a" for row in found.values())


def test_values_are_compared_by_their_means() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(11, 2, 500), random.normal(10, 2, 800)
    found = judged(tally(VALUE, ours, label=ours.tolist()), tally(VALUE, theirs, label=theirs.tolist()))
    welch = stats.ttest_ind(ours, theirs, equal_var=False)
    assert found["prediction"].statistic == pytest.approx(welch.statistic, rel=0.01)
    assert found["prediction"].p_value == pytest.approx(welch.pvalue, rel=0.2)
    assert found["prediction"].effect == pytest.approx(0.1974, abs=0.04)
    assert found["label"].drifted


def test_too_few_and_constant_answers_say_so() -> None:
    found = judged(binary(0, 50)[0], binary(1, 500)[0])
    assert {row.note for row in found.values()} == {"too few now (50 of at least 100)"}
    assert not any(row.drifted for row in found.values())
    same = tally(VALUE, [3.0] * 200, label=[3.0] * 200)
    assert {row.note for row in judged(same, same).values()} == {"the values do not vary"}


def test_tallies_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="tallies must have one shape"):
        answer_drift(Tally.empty(BINARY), Tally.empty(THREE), q=0.02, effect=0.1)


class TestColumns:
    def test_one_that_the_reference_never_had_is_named(self) -> None:
        frame = pd.DataFrame({"age": np.arange(200.0)})
        summary = profile(frame, reference_bins(frame, {"age": "number"}, salt="tests"))
        rows = [{"age": 1, "region": "north" if i % 4 else None} for i in range(40)]
        found = fields(rows, summary, summary)
        assert (found.new, found.new_total, found.vanished, found.sample) == ([("region", 0.75)], 1, [], 40)

    def test_one_that_is_not_sent_any_more_is_named(self) -> None:
        frame = pd.DataFrame({"age": np.arange(200.0), "visits": np.arange(200.0)})
        bins = reference_bins(frame, {"age": "number", "visits": "number"}, salt="tests")
        now = profile(frame.assign(visits=np.nan), bins)
        assert fields([], now, profile(frame, bins)).vanished == ["visits"]
        assert fields([], now, now).vanished == []  # it never was there

    def test_of_a_thousand_new_columns_twenty_are_named(self) -> None:
        frame = pd.DataFrame({"age": np.arange(200.0)})
        summary = profile(frame, reference_bins(frame, {"age": "number"}, salt="tests"))
        found = fields([{f"x{i}": 1 for i in range(1000)}], None, summary)
        assert (len(found.new), found.new_total) == (20, 1000)
