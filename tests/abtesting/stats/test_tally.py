"""Tallies of arms and of pairs add, subtract and travel without losing anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtesting.stats.pairs import Answers, PairTally, Shape
from abtesting.stats.tally import ArmTally

BINARY = Shape("classification", ("no", "yes"), "yes")
THREE = Shape("classification", (1, 2, 3))
VALUE = Shape("regression")
LABELS: dict[Shape, Any] = {
    BINARY: st.sampled_from(["no", "yes", "perhaps", None]),
    THREE: st.sampled_from([1, 2, 3, 4, None]),
    VALUE: st.one_of(st.none(), st.just("x"), st.floats(-1e6, 1e6)),
}


def rows_of(shape: Shape) -> Any:
    said = st.tuples(LABELS[shape], st.floats(-0.5, 1.5), st.sampled_from([0, 1, None]), st.booleans(), st.floats(0, 9))
    row = st.tuples(said, said, LABELS[shape], LABELS[shape], st.one_of(st.none(), st.floats(-9, 9)), st.booleans())
    return st.lists(row, max_size=8)


def columns(rows: list[Any], place: int) -> list[Any]:
    return [row[place] for row in rows]


def answers(rows: list[Any], side: int) -> Answers:
    said = columns(rows, side)
    prediction, score, decision, failed, latency = ([row[part] for row in said] for part in range(5))
    return Answers(prediction, score, decision, failed, latency, columns(rows, 2))


def arm(rows: list[Any], shape: Shape) -> ArmTally:
    return ArmTally.of(answers(rows, 0), shape, human_decision=columns(rows, 3), outcome=columns(rows, 4))


def pair(rows: list[Any], shape: Shape) -> PairTally:
    return PairTally.of(answers(rows, 0), answers(rows, 1), shape, scored=columns(rows, 5))


cases = st.sampled_from([BINARY, THREE, VALUE]).flatmap(lambda s: st.tuples(st.just(s), rows_of(s), rows_of(s)))


@pytest.mark.parametrize("tally", [arm, pair])
@given(case=cases)
def test_the_tally_of_all_is_the_sum_and_minus_undoes_it(tally: Any, case: Any) -> None:
    shape, first, second = case
    one, other = tally(first, shape), tally(second, shape)
    assert tally(first + second, shape) == one + other == other + one
    assert one + other - other == one
    assert one + type(one).empty(shape) == one


@pytest.mark.parametrize("tally", [arm, pair])
@given(case=cases)
def test_bytes_give_the_same_tally_again_also_of_a_correction(tally: Any, case: Any) -> None:
    shape, first, second = case
    for found in (tally(first, shape), tally(first, shape) - tally(second, shape)):
        assert type(found).from_bytes(found.to_bytes()) == type(found).from_bytes(found.to_bytes(), shape) == found
    assert type(found).from_bytes(b"", shape) == type(found).empty(shape)
    parts = [found.to_bytes(), b"", tally(second, shape).to_bytes()]
    assert type(found).sum_of_bytes(parts, shape) == tally(first, shape)


@pytest.mark.parametrize("tally", [arm, pair])
@given(data=st.data())
def test_altered_bytes_are_refused_with_a_reason(tally: Any, data: Any) -> None:
    whole = bytearray(tally([], BINARY).to_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        found = type(tally([], BINARY)).from_bytes(bytes(whole), BINARY)
    except ValueError:
        return
    assert found == tally([], BINARY)  # a bit that zlib does not look at


@pytest.mark.parametrize("tally", [arm, pair])
def test_tallies_of_other_shapes_do_not_mix(tally: Any) -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        tally([], BINARY) + tally([], VALUE)
    with pytest.raises(ValueError, match="Shape"):
        type(tally([], BINARY)).from_bytes(tally([], BINARY).to_bytes(), VALUE)
    with pytest.raises(ValueError, match="must begin with"):
        type(tally([], BINARY)).from_bytes(b"junkjunk")
    with pytest.raises(ValueError, match="Shape"):
        type(tally([], BINARY)).sum_of_bytes([tally([], BINARY).to_bytes()], THREE)


def said(prediction: list[Any], label: list[Any], *, errors: list[bool] | None = None) -> Answers:
    n = len(prediction)
    return Answers(prediction, [np.nan] * n, [None] * n, errors or [False] * n, [1.0] * n, label)


def test_the_cells_of_an_arm_are_hits_false_alarms_misses_and_the_rest() -> None:
    found = arm([], BINARY) + ArmTally.of(
        said(["yes", "yes", "yes", "no", "no", None], ["yes", "no", "no", "yes", "no", "yes"]), BINARY
    )
    assert found.cells.tolist() == [1, 2, 1, 1]
    assert (found.units, found.judged, found.alerts) == (6, 5, 3)
    first = Shape("classification", ("yes", "no"), "yes")
    assert ArmTally.of(said(["yes", "no"], ["no", "no"]), first).cells.tolist() == [0, 1, 0, 1]
    assert ArmTally.of(said([1, 2, 3], [1, 3, 3]), THREE).cells.tolist() == [2, 0, 1, 0]


def test_a_person_overrides_where_both_decided_and_differ() -> None:
    found = ArmTally.of(said(["yes", "no", "no"], [None] * 3), BINARY, human_decision=["no", "no", None])
    assert (found.reviewed, found.overridden) == (2, 1)
    columns = ArmTally.of(said([1, 2], [1, 1]), THREE, human_decision=np.array([1, 1]), outcome=np.array([2.0, np.nan]))
    assert (columns.reviewed, columns.overridden, columns.outcome.count) == (2, 1, 1)
    with pytest.raises(ValueError, match="human_decision must have 3 cells but got 1"):
        ArmTally.of(said(["yes", "no", "no"], [None] * 3), BINARY, human_decision=["no"])


def test_pairs_wait_for_b_and_count_its_errors_apart() -> None:
    label = ["yes", "yes", "no", "no", None]
    a, b = said(["yes"] * 5, label), said(["no", "yes", "yes", "no", "yes"], [None] * 5, errors=[0, 0, 0, 1, 0])  # type: ignore[list-item]
    found = PairTally.of(a, b, BINARY, scored=[True, False, True, True, True])
    assert found.totals.tolist() == [5, 3, 1, 2]
    assert found.coverage == 0.8
    assert found.cells.tolist() == [0, 0, 0, 0, 0, 1, 1, 0]
    assert found.judged == 2
    assert PairTally.empty(BINARY).coverage is None


def test_pairs_of_more_classes_say_who_was_right() -> None:
    a, b = said([1, 2, 3, 3], [1, 1, 3, 2]), said([1, 1, 2, 2], [None] * 4)
    assert PairTally.of(a, b, THREE, scored=[True] * 4).cells.tolist() == [0, 0, 0, 2, 0, 1, 0, 1]


def test_pairs_of_values_keep_the_moments_of_the_difference() -> None:
    a, b = said([1.0, 2.0], [2.0, 4.0]), said([2.0, 5.0], [None] * 2)
    found = PairTally.of(a, b, VALUE, scored=[True] * 2)
    assert [found.judged, found.moments["mae_a"].total, found.moments["mae"].total] == [2, 3, -2]
    assert found.moments["rmse"].squares == 1 + 9
