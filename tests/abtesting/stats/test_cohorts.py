"""Both arms are judged after the same time."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from abtesting.stats.cohorts import Cohort, followed_up
from abtesting.stats.inference import Comparison, compare_arms
from abtesting.stats.measures import measures
from abtesting.stats.tally import Answers, ArmTally, Shape

SHAPE = Shape("classification", (0, 1), 1)
START = date(2026, 1, 1)


def tally(said: list[int], label: list[int | None]) -> ArmTally:
    n = len(said)
    return ArmTally.of(Answers(said, [0.5] * n, said, [False] * n, [1.0] * n, label), SHAPE)


def test_young_units_and_late_labels_are_left_out() -> None:
    cohorts = [
        Cohort(START, 0, tally([1, 1], [None, None])),
        Cohort(START, 10, tally([1], [1]) - tally([1], [None])),
        Cohort(START, 40, tally([1], [0]) - tally([1], [1])),  # a correction after the follow-up
        Cohort(START + timedelta(days=30), 0, tally([1], [1])),
    ]
    found = followed_up(cohorts, days=30, today=START + timedelta(days=60), empty=ArmTally.empty(SHAPE))
    assert (found.units, found.judged, found.cells.tolist()) == (2, 1, [1, 0, 0, 0])
    day_before = followed_up(cohorts, days=30, today=START + timedelta(days=30), empty=ArmTally.empty(SHAPE))
    assert day_before.units == 0
    all_of_it = followed_up(cohorts, days=40, today=START + timedelta(days=99), empty=ArmTally.empty(SHAPE))
    assert (all_of_it.units, all_of_it.cells.tolist()) == (3, [1, 1, 0, 0])


def test_no_days_are_the_same_day_and_fewer_are_refused() -> None:
    cohorts = [Cohort(START, 0, tally([1], [1])), Cohort(START, 1, tally([0], [1]))]
    assert followed_up(cohorts, days=0, today=START + timedelta(days=1), empty=ArmTally.empty(SHAPE)).units == 1
    with pytest.raises(ValueError, match="days must be at least 0 but got -1"):
        followed_up(cohorts, days=-1, today=START, empty=ArmTally.empty(SHAPE))


def test_equal_follow_up_removes_the_bias_of_late_positive_labels_in_a_ramp() -> None:
    """Right decisions on positives are known after 30 days, all else at once; B's units are the newer ones."""
    rng, today = np.random.default_rng(5), START + timedelta(days=60)
    parts: dict[str, list[Cohort[ArmTally]]] = {"a": [], "b": []}
    for day in range(60):
        for arm, units in (("a", 600 - 9 * day), ("b", 10 + 9 * day)):
            hits, misses = rng.multinomial(units, [0.3, 0.1, 0.6])[:2]
            start = START + timedelta(days=day)
            parts[arm].append(Cohort(start, 0, tally([0] * misses, [1] * misses)))
            parts[arm].append(Cohort(start, 30, tally([1] * hits, [1] * hits)))
    recall = measures(SHAPE, paired=False)["recall"]

    def compared(days: int, on: date) -> Comparison:
        sums = [followed_up(parts[arm], days=days, today=on, empty=ArmTally.empty(SHAPE)) for arm in "ab"]
        found = compare_arms(recall, *sums)
        assert isinstance(found, Comparison)
        return found

    known = {
        arm: sum(
            (part.sums for part in parts[arm] if part.day + timedelta(days=part.days_later) < today),
            ArmTally.empty(SHAPE),
        )
        for arm in "ab"
    }
    naive = compare_arms(recall, known["a"], known["b"])
    assert isinstance(naive, Comparison)
    assert naive.difference < -0.1
    assert naive.p_value < 1e-9
    equal = compared(30, today)
    assert equal.p_value > 0.05
    assert abs(equal.a - 0.75) < 0.02
