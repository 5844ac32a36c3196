"""Breakdowns add, subtract and travel without losing anything, in whatever slices."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_site.stats import codec
from monitoring.stats.answers import Answers
from monitoring.stats.breakdown import MAGIC, Breakdown, level_part
from monitoring.stats.followed import Followed
from monitoring.stats.layout import ERROR_CODES, FINE, TOTALS, VALUES, first_widths, value_bins, value_edges
from monitoring.stats.levels import level_of
from monitoring.stats.limbs import LARGEST, limbs, whole
from monitoring.stats.shape import Shape
from tests.monitoring.stats.followed import NAN, followed

BINARY = Shape("classification", ("no", "yes"), "yes")
THREE = Shape("classification", (1, 2, 3))
VALUE = Shape("regression")
SLICES = {3: 2, 8: 4}

LABELS: dict[Shape, Any] = {
    BINARY: st.sampled_from(["no", "yes", "perhaps", None, [1]]),
    THREE: st.sampled_from([1, 2, 3, 4.0, None, {}]),
    VALUE: st.one_of(st.none(), st.just("x"), st.just(True), st.integers(), st.floats(allow_nan=True)),
}


def rows_of(shape: Shape) -> Any:
    lag = st.one_of(st.just(NAN), st.floats(-1e9, 1e12))
    row = st.tuples(
        LABELS[shape],
        st.one_of(st.just(NAN), st.floats(-0.5, 1.5)),
        st.sampled_from([0, 1, None]),
        st.booleans(),
        LABELS[shape],
        LABELS[shape],
        st.integers(-1, ERROR_CODES),
        lag,
        lag,
        st.integers(-1, 1),
        st.integers(-1, 3),
    )
    return st.lists(row, max_size=8)


def broken_down(rows: list[Any], shape: Shape) -> Breakdown:
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(11)]
    said, score, decision, failed, label, human, error, observed, received, first, second = columns
    answers = Answers(said, score, decision, failed, [NAN if s is None else 3.0 for s in decision], label)
    levels = {3: np.array(first, dtype=np.int64), 8: np.array(second, dtype=np.int64)}
    told, sent = (np.array(part, dtype=np.float64) for part in (observed, received))
    rest = Breakdown.of(Followed(answers, human, np.array(error, dtype=np.int64), told, sent, levels), shape, SLICES)
    return rest + Breakdown.of_new(answers, shape)


pairs = st.sampled_from([BINARY, THREE, VALUE]).flatmap(lambda s: st.tuples(st.just(s), rows_of(s), rows_of(s)))


@given(pairs)
def test_that_of_all_is_the_sum_and_minus_undoes_it(case: Any) -> None:
    shape, first, second = case
    one, other = (broken_down(rows, shape) for rows in (first, second))
    assert broken_down(first + second, shape) == one + other == other + one
    assert one + other - other == one
    assert one + Breakdown.empty(shape) == one


@given(pairs)
def test_bytes_give_the_same_again_also_of_a_correction(case: Any) -> None:
    shape, first, second = case
    one, other = (broken_down(rows, shape) for rows in (first, second))
    for found in (one, one - other):
        assert Breakdown.from_bytes(found.to_bytes(), shape) == found
    assert Breakdown.sum_of_bytes([one.to_bytes(), b"", other.to_bytes()], shape) == one + other
    assert (one - one).to_bytes() == b""


def test_slices_that_come_and_go_add_up_by_their_ids() -> None:
    old, new = (
        Breakdown.of(followed(["yes"], ["yes"], levels={key: [place]}), BINARY, {key: 2})
        for key, place in ((3, 0), (9, 1))
    )
    both = Breakdown.sum_of_bytes([old.to_bytes(), new.to_bytes(), new.to_bytes()], BINARY)
    assert both == old + new + new
    rows = TOTALS.index("rows")
    assert {key: counts[:, rows].tolist() for key, counts in both.slices.items()} == {3: [1, 0], 9: [0, 2]}


def test_an_answer_that_no_slice_counts_is_in_no_level() -> None:
    found = Breakdown.of(followed(["yes", "no"], ["yes", "no"], levels={3: [-1, 1]}), BINARY, {3: 2})
    assert level_part(found.slices[3][0], BINARY, "totals").sum() == 0
    totals = dict(zip(TOTALS, level_part(found.slices[3][1], BINARY, "totals").tolist(), strict=True))
    assert totals == {"rows": 1, "errors": 0, "labelled": 1, "judged": 1, "hits": 1, "answered": 1, "selected": 0}


@pytest.mark.parametrize("shape", [BINARY, THREE, VALUE])
def test_bytes_of_before_parts_were_added_are_read_as_they_were_meant(shape: Shape) -> None:
    """The last parts of both rows are the new ones: what was written without them has the counts of the others."""
    said = ["yes", "no", "no"] if shape is BINARY else [1, 2, 3]
    whole = Breakdown.of(followed(said, said[::-1], human=said, levels={3: [1, 0, 1], 8: [3, -1, 0]}), shape, SLICES)
    every, level = first_widths(shape)
    flat = np.concatenate([whole.every[:every], *(counts[:, :level].ravel() for counts in whole.slices.values())])
    places = np.flatnonzero(flat)
    header = {"shape": shape.to_json(), "slices": [[3, 2], [8, 4]]}
    old = codec.pack(header, np.concatenate([np.diff(places, prepend=0), flat[places]]), magic=MAGIC)
    assert Breakdown.from_bytes(old, shape) == whole
    new = whole + Breakdown.of_new(Answers(said, [NAN] * 3, [None] * 3, [False] * 3, [5.0] * 3, said), shape)
    assert Breakdown.sum_of_bytes([old, new.to_bytes(), old], shape) == whole + new + whole
    assert new.part("answered").sum() == 3


@pytest.mark.parametrize("widths", [[0, 1], [10**9, 1], [1], "12", [1.5, 2]])
def test_widths_that_cannot_be_are_refused(widths: Any) -> None:
    header = {"shape": BINARY.to_json(), "slices": [], "widths": widths}
    with pytest.raises(ValueError, match="breakdown must"):
        Breakdown.from_bytes(codec.pack(header, np.array([0, 1]), magic=MAGIC), BINARY)


def test_a_level_knows_how_fast_its_answers_were_and_how_many_failed() -> None:
    rows = followed(["yes"] * 4, [None] * 4, levels={3: [0, 0, 0, 1]})
    failed = rows.answers._replace(latency_ms=[10.0, 10.0, NAN, 1e12], status_is_error=[True, False, False, False])
    slow, other = (
        level_of(name, counts, BINARY)
        for name, counts in zip(
            ["slow", "other"], Breakdown.of(rows._replace(answers=failed), BINARY, {3: 2}).slices[3], strict=True
        )
    )
    assert (slow.rows, slow.errors, slow.speed.n) == (3, 1, 2)
    assert slow.speed.p50_ms == pytest.approx(10, rel=0.26)
    assert slow.failed is not None
    assert slow.failed.value == pytest.approx(1 / 3)
    assert other.speed == (0, None, None)


@pytest.mark.parametrize("spoil", [lambda b: b[:-3], lambda b: b"STL1" + b[4:], lambda b: b + b"x"])
def test_cut_or_altered_bytes_are_refused(spoil: Any) -> None:
    data = Breakdown.of(followed(["yes"], ["yes"], levels={3: [1]}), BINARY, {3: 2}).to_bytes()
    with pytest.raises(ValueError, match="breakdown"):
        Breakdown.from_bytes(spoil(data), BINARY)


@pytest.mark.parametrize(
    ("header", "numbers"),
    [
        ({"shape": VALUE.to_json(), "slices": []}, [0, 1]),
        ({"shape": BINARY.to_json(), "slices": []}, [0, 1, 2]),
        ({"shape": BINARY.to_json(), "slices": []}, [5, 0, 1, 1]),
        ({"shape": BINARY.to_json(), "slices": []}, [-1, 1]),
        ({"shape": BINARY.to_json(), "slices": []}, [10_000, 1]),
        ({"shape": BINARY.to_json(), "slices": [[1, 10**9]]}, [0, 1]),
        ({"shape": BINARY.to_json(), "slices": 5}, [0, 1]),
        ({"shape": BINARY.to_json()}, [0, 1]),
    ],
)
def test_a_header_that_does_not_fit_is_refused(header: Any, numbers: list[int]) -> None:
    data = codec.pack(header, np.array(numbers, dtype=np.int64), magic=MAGIC)
    with pytest.raises(ValueError, match="must"):
        Breakdown.from_bytes(data, BINARY)


@given(st.lists(st.floats(-LARGEST, LARGEST), max_size=20))
def test_limbs_hold_a_sum_to_the_last_bit_that_matters(values: list[float]) -> None:
    total = whole(limbs(np.array(values)).sum(axis=0)) if values else Fraction(0)
    assert abs(total - sum(map(Fraction, values))) <= len(values) * Fraction(1, 2**50)
    squares = whole(limbs(np.square(np.array(values))).sum(axis=0)) if values else Fraction(0)
    assert abs(squares - sum(Fraction(value * value) for value in values)) <= len(values) * Fraction(1, 2**50)


@given(st.floats(-(2.0**39), 2.0**39), st.sampled_from([16, FINE]))
def test_a_value_lies_between_the_edges_of_its_bin(value: float, steps: int) -> None:
    place, edges = int(value_bins(np.array([value]), steps)[0]), value_edges(steps)
    assert abs(edges[place]) <= abs(value) < abs(edges[place + 1]) or edges[place] <= value <= edges[place + 1]


@given(st.lists(st.floats(-1e15, 1e15), min_size=2, max_size=20))
def test_bins_rise_with_the_values_and_are_narrow(values: list[float]) -> None:
    ordered = np.sort(np.array(values))
    bins = value_bins(ordered)
    assert (np.diff(bins) >= 0).all()
    assert bins.min() >= 0
    assert bins.max() < VALUES
    for low, high, one, two in zip(ordered[:-1], ordered[1:], bins[:-1], bins[1:], strict=True):
        if one == two and low >= 0.001 and high < LARGEST:
            assert high < low * (1 + 1 / 16) * (1 + 1e-12)
