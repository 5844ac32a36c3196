"""Tallies add, subtract and travel without losing anything."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.stats.tally import Answers, Shape, Tally, shape_of

BINARY = Shape("classification", ("no", "yes"), "yes")
THREE = Shape("classification", (1, 2, 3))
VALUE = Shape("regression")
NAN = float("nan")

LABELS: dict[Shape, Any] = {
    BINARY: st.sampled_from(["no", "yes", "perhaps", None, [1]]),
    THREE: st.sampled_from([1, 2, 3, 4.0, None, {}]),
    VALUE: st.one_of(st.none(), st.just("x"), st.just(True), st.integers(), st.floats(allow_nan=True)),
}


def rows_of(shape: Shape) -> Any:
    row = st.tuples(
        LABELS[shape],
        st.one_of(st.just(NAN), st.floats(-0.5, 1.5)),
        st.sampled_from([0, 1, None, "yes"]),
        st.booleans(),
        st.floats(allow_nan=True, allow_infinity=True),
        LABELS[shape],
    )
    return st.lists(row, max_size=12)


def answers(rows: list[Any]) -> Answers:
    return Answers(*map(list, zip(*rows, strict=True))) if rows else Answers([], [], [], [], [], [])


pairs = st.sampled_from([BINARY, THREE, VALUE]).flatmap(lambda s: st.tuples(st.just(s), rows_of(s), rows_of(s)))


@given(pairs)
def test_the_tally_of_all_is_the_sum_and_minus_undoes_it(case: Any) -> None:
    shape, first, second = case
    one, other = (Tally.of(answers(rows), shape) for rows in (first, second))
    assert Tally.of(answers(first + second), shape) == one + other == other + one
    assert one + other - other == one
    assert one + Tally.empty(shape) == one


@given(pairs)
def test_bytes_give_the_same_tally_again_also_of_a_correction(case: Any) -> None:
    shape, first, second = case
    for tally in (Tally.of(answers(first), shape), Tally.of(answers(first), shape) - Tally.of(answers(second), shape)):
        assert Tally.from_bytes(tally.to_bytes()) == Tally.from_bytes(tally.to_bytes(), shape) == tally


def test_a_late_label_and_its_correction_end_where_the_rows_would() -> None:
    def tally(label: Any) -> Tally:
        return Tally.of(Answers(["yes"], [0.8], [1], [False], [2.0], [label]), BINARY)

    bucket = tally(None)
    bucket += tally("no") - tally(None)
    bucket += tally("yes") - tally("no")
    assert bucket == tally("yes")
    assert (bucket.rows, bucket.labelled, bucket.hits) == (1, 1, 1)


def test_of_two_classes_the_decision_is_judged_and_else_the_prediction() -> None:
    said = Answers(
        ["no", "no", "yes", None], [0.4, 0.4, NAN, NAN], [1, None, None, None], [0, 0, 0, 1], [1] * 4, ["yes"] * 4
    )
    found = Tally.of(said, BINARY)
    assert found.confusion.tolist() == [[0, 0], [1, 2]]
    assert (found.rows, found.errors, found.labelled, found.judged, found.hits) == (4, 1, 4, 3, 2)
    assert found.coverage == 1.0
    assert found.moments["brier"].total == 2 * Fraction((0.4 - 1) ** 2)


def test_the_positive_class_may_stand_first() -> None:
    shape = Shape("classification", (1, 0), 1)
    found = Tally.of(Answers([1, 0], [0.9, 0.1], [1, 0], [0, 0], [1, 1], [1, 1]), shape)
    assert found.confusion.tolist() == [[1, 1], [0, 0]]
    assert found.scores[:, [20, 180]].tolist() == [[1, 1], [0, 0], [1, 1]]


def test_a_score_of_one_lies_in_the_last_bin_and_impossible_ones_in_none() -> None:
    found = Tally.of(Answers(["no"] * 4, [0.0, 1.0, 1.01, NAN], [0] * 4, [0] * 4, [1] * 4, [None] * 4), BINARY)
    assert np.flatnonzero(found.scores[0]).tolist() == [0, 199]


def test_latencies_are_summed_in_whole_microseconds_and_impossible_ones_left_out() -> None:
    ms = [0.0014, 2.0, -1.0, NAN, np.inf, 1e9]
    found = Tally.of(Answers([1] * 6, [NAN] * 6, [None] * 6, [0] * 6, ms, [None] * 6), VALUE)
    assert found.sums["latency_us"] == 1 + 2000 + 10**12
    assert found.latency.sum() == 3
    assert (found.latency[0], found.latency[-1]) == (1, 1)


def test_many_classes_are_judged_without_a_confusion_matrix() -> None:
    shape = Shape("classification", tuple(range(100)))
    found = Tally.of(Answers([5, 6], [NAN] * 2, [None] * 2, [0] * 2, [1] * 2, [5, 7]), shape)
    assert (found.judged, found.hits, found.confusion.shape) == (2, 1, (0, 0))


def test_values_too_large_to_use_are_no_labels() -> None:
    found = Tally.of(Answers([1.0, 10**400], [NAN] * 2, [None] * 2, [0] * 2, [1] * 2, [1e71, 2.0]), VALUE)
    assert (found.labelled, found.judged, found.moments["prediction"].count) == (1, 0, 1)


def test_the_shape_is_read_from_a_signature() -> None:
    binary = {"task_type": "classification", "classes": [0, 1], "positive_class": 1, "inputs": [], "output": "p"}
    assert shape_of(binary) == Shape("classification", (0, 1), 1)
    assert shape_of({"task_type": "regression", "classes": None, "positive_class": None}) == VALUE


def test_no_bytes_are_nothing_yet() -> None:
    assert Tally.from_bytes(b"", BINARY) == Tally.empty(BINARY)
    with pytest.raises(ValueError, match="tally must begin with"):
        Tally.from_bytes(b"")


def test_bytes_of_something_else_are_refused() -> None:
    good = Tally.empty(BINARY).to_bytes()
    for bad in (good[:-3], b"SPF1" + good[4:], good + b"x", b"STL1" + b"0" * 40):
        with pytest.raises(ValueError, match="tally must"):
            Tally.from_bytes(bad)
    with pytest.raises(ValueError, match="must have the shape"):
        Tally.from_bytes(good, THREE)
    with pytest.raises(ValueError, match="one shape"):
        Tally.empty(BINARY) + Tally.empty(THREE)


def test_parts_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one length but got \[1, 2\]"):
        Tally.of(Answers(["no"], [0.1, 0.2], [0], [0], [1], [None]), BINARY)
