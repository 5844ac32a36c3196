"""Gaps between levels: what is compared, and how seldom chance alone is called a gap."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from scipy import stats

from monitoring.stats.breakdown import Breakdown
from monitoring.stats.fairness import ALPHA, Sliced, compared, judged
from monitoring.stats.findings import Judged, findings
from monitoring.stats.levels import Level, Rate, level_of
from monitoring.stats.shape import Shape
from monitoring.stats.slicing import Slicing
from tests.monitoring.stats.followed import followed

BINARY = Shape("classification", (0, 1), 1)
VALUE = Shape("regression")
NAMES = ["north", "south", "west", "other", "missing"]


def levels(place: Any, said: Any, truth: Any, *, score: Any = None, shape: Shape = BINARY) -> list[Level]:
    rows = followed(said.tolist(), truth.tolist(), score=score, levels={1: place})
    counts = Breakdown.of(rows, shape, {1: len(NAMES)}).slices[1]
    return [level_of(name, row, shape) for name, row in zip(NAMES, counts, strict=True)]


def region(n: int, seed: int, *, lost: float = 0.0, moved: float = 0.0) -> list[Level]:
    """Three regions; in the west a share `lost` of the positives is missed, and scores are `moved`."""
    random = np.random.default_rng(seed)
    place = random.choice(3, n, p=[0.5, 0.3, 0.2])
    truth = (random.random(n) < 0.3).astype(int)
    said = np.where(random.random(n) < 0.85, truth, 1 - truth)
    said = np.where((place == 2) & (truth == 1) & (random.random(n) < lost), 0, said)
    score = np.clip(np.where(said == 1, 0.63, 0.08) + moved * (place == 2), 0, 1)
    return levels(place, said, truth, score=score)


def one(found: list[Level], **how: Any) -> Sliced:
    (sliced,) = judged([("region", "slices", found)], **how)
    return sliced


def test_each_rate_of_a_level_is_that_of_its_rows() -> None:
    random = np.random.default_rng(0)
    place, truth, said = random.integers(0, 3, 900), random.integers(0, 2, 900), random.integers(0, 2, 900)
    score = random.random(900)
    for at, level in enumerate(levels(place, said, truth, score=score)[:3]):
        t, s, p = (part[place == at] for part in (truth, said, score))
        values = {name: rate.value for name, rate in level.rates.items()}
        assert values == pytest.approx(
            {
                "accuracy": (t == s).mean(),
                "selection_rate": s.mean(),
                "true_positive_rate": s[t == 1].mean(),
                "false_positive_rate": s[t == 0].mean(),
                "precision": t[s == 1].mean(),
                "calibration_gap": (p - t).mean(),
            },
            abs=1e-12,
        )
        assert level.rates["calibration_gap"].variance == pytest.approx(float((p - t).var()), abs=1e-12)
        assert (level.rows, level.labelled, level.rates["accuracy"].n) == (len(t),) * 3
        metrics = {metric.name: metric for metric in level.metrics}
        assert metrics["brier"].value == pytest.approx(float(np.square(p - t).mean()), abs=1e-12)
        assert metrics["recall"].ci95 is not None


def test_a_planted_gap_is_found_where_it_is_and_nowhere_else() -> None:
    """A region whose positives are missed: equal opportunity is broken, and what follows from it."""
    sliced = one(region(6_000, 1, lost=0.5))
    assert sliced.reference == "north"
    assert {(gap.measure, gap.level) for gap in sliced.gaps if gap.alarm} == {
        ("true_positive_rate", "west"),
        ("calibration_gap", "west"),
    } | {(gap.measure, gap.level) for gap in sliced.gaps if gap.alarm and gap.measure in ("selection_rate", "accuracy")}
    worst = next(gap for gap in sliced.gaps if (gap.measure, gap.level) == ("true_positive_rate", "west"))
    assert worst.difference == pytest.approx(-0.425, abs=0.06)
    assert worst.ci95[0] < worst.difference < worst.ci95[1] < 0
    assert all(gap.level != "south" for gap in sliced.gaps if gap.alarm)
    (finding,) = findings(Judged(None, [], None, None, [sliced]))
    assert (finding.rule, finding.subject) == ("fairness", "region")
    assert "true positive rate" in finding.summary
    assert finding.evidence["gaps"][0]["level"] == "west"


def test_without_a_gap_chance_is_called_one_as_seldom_as_promised() -> None:
    """Significance alone, before any limit of size, over 400 windows of 8 comparisons each: at most 1 in 100 and what
    400 draws of that allow."""
    smallest = 1e-6
    limits: dict[str, float | None] = dict.fromkeys(
        ["selection_rate", "true_positive_rate", "false_positive_rate", "accuracy"], smallest
    )
    limits |= {"calibration_gap": None}
    alarms = [any(gap.alarm for gap in one(region(900, seed), limits=limits).gaps) for seed in range(400)]
    assert sum(alarms) <= stats.binom.ppf(0.999, 400, ALPHA)


def test_a_gap_that_is_certain_but_small_is_no_alarm_until_the_limit_says_so() -> None:
    found = region(60_000, 2, lost=0.08)
    gap = next(g for g in one(found).gaps if (g.measure, g.level) == ("true_positive_rate", "west"))
    assert (gap.adjusted < 1e-6, gap.material, gap.alarm) == (True, False, False)
    strict = one(found, limits={"true_positive_rate": 0.05})
    assert next(g for g in strict.gaps if (g.measure, g.level) == ("true_positive_rate", "west")).alarm


def test_a_measure_without_a_limit_and_a_level_with_few_rows_are_not_compared() -> None:
    found = region(200, 3)
    assert {gap.measure for gap in one(found, limits={"accuracy": None}).gaps}.isdisjoint({"accuracy"})
    assert one(found, min_rows=10_000).gaps == []
    west = next(level for level in found if level.name == "west")
    assert all(gap.level != "west" for gap in one(found, min_rows=west.rows + 1).gaps)


def test_answers_without_a_level_are_compared_with_nobody() -> None:
    place = np.repeat([0, 4], 200)
    said = np.repeat([0, 1], 200)
    assert one(levels(place, said, said)).gaps == []
    assert one(levels(np.full(5, 4), said[:5], said[:5])).reference == ""


def test_actual_over_expected_differs_where_a_level_is_underestimated() -> None:
    random = np.random.default_rng(4)
    place, said = random.integers(0, 2, 4_000), random.gamma(2.0, 500.0, 4_000)
    truth = random.gamma(1.0, said * np.where(place == 1, 1.5, 1.0))
    sliced = one(levels(place, said, truth, shape=VALUE))
    (gap,) = [gap for gap in sliced.gaps if gap.alarm]
    assert gap.measure == "actual_over_expected"
    assert abs(gap.difference) == pytest.approx(0.5, abs=0.1)


def test_rare_events_are_compared_exactly() -> None:
    one_side, other = Rate(0.0, 0.0, 60, 0), Rate(0.05, 0.0475, 60, 3)
    assert compared(one_side, other)[1] == pytest.approx(stats.fisher_exact(np.array([[0, 60], [3, 57]])).pvalue)
    assert compared(Rate(1.0, 0.0, 5), Rate(1.0, 0.0, 5))[1] == 1.0


class TestPlaces:
    SINCE = datetime(2026, 11, 24, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("value", "level"),
        [("north", "north"), (" north ", "north"), ("east", "other"), (None, "missing"), ("", "missing"), (7, "other")],
    )
    def test_of_texts(self, value: Any, level: str) -> None:
        by = Slicing(1, "region", "slice", ("north", "south"), (), self.SINCE)
        assert by.places[by.place({}, {"region": value})] == level

    @pytest.mark.parametrize(
        ("value", "level"),
        [
            (39.9, "under 40"), (40, "40 to 65"), (65, "65 and over"), ("50", "40 to 65"), (None, "missing"),
            ("old", "missing"), (True, "missing"), (float("nan"), "missing"), (10**400, "missing"),
        ],
    )  # fmt: skip
    def test_of_numbers(self, value: Any, level: str) -> None:
        by = Slicing(1, "age", "feature", (), (40.0, 65.0), self.SINCE)
        assert by.places[by.place({"age": value}, {})] == level

    def test_what_an_answer_kept_of_erased_features_stands_for_them(self) -> None:
        by = Slicing(1, "age", "feature", (), (40.0, 65.0), self.SINCE)
        assert by.place({}, {"age": "70"}) == by.place({"age": 70}, {}) == 2
