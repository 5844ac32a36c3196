"""Rows of features: what is accepted, how it is encoded, and that each fault is named with its value."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_site.core.errors import Invalid
from registry.artifacts.rows import MAX_ERRORS, Columns, RowCheck
from registry.artifacts.signature import Input, Signature

INPUTS = (
    Input("income", "number"),
    Input("age", "number", nullable=True),
    Input("site", "category", levels=("a", "b")),
    Input("code", "category", nullable=True, levels=("x",), open=True),
    Input("note", "number", required=False, nullable=True),
)
CHECK = RowCheck(Signature(INPUTS, "regression"))
GOOD: dict[str, Any] = {"income": 1.5, "age": 40, "site": "a", "code": "x", "note": 0}


def faults(row: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as raised:
        CHECK([row])
    assert raised.value.code == "bad_features"
    assert all(len(error.message) < 500 for error in raised.value.errors)
    return [(error.field, error.code) for error in raised.value.errors]


def test_a_good_row_becomes_columns() -> None:
    columns = CHECK([GOOD])
    assert columns.numbers.tolist() == [[1.5], [40.0], [0.0]]
    assert columns.categories == [["a"], ["x"]]
    assert columns.rows == 1


@pytest.mark.parametrize(
    ("change", "name", "encoded"),
    [
        ({"income": True}, "income", 1.0),
        ({"income": False}, "income", 0.0),
        ({"income": -0.0}, "income", 0.0),
        ({"income": 2**53}, "income", 2.0**53),
        ({"income": 3e38}, "income", 3e38),
        ({"age": None}, "age", math.nan),
        ({"code": None}, "code", ""),
        ({"code": ""}, "code", ""),
        ({"code": "never seen"}, "code", "never seen"),
        ({"code": "Zürich 🏥"}, "code", "Zürich 🏥"),
    ],
)
def test_accepted_values(change: dict[str, Any], name: str, encoded: object) -> None:
    (value,) = CHECK([GOOD | change]).by_name()[name]
    assert value == encoded or (encoded != encoded and value != value)


def test_an_input_that_is_not_required_may_be_left_out() -> None:
    row = {name: value for name, value in GOOD.items() if name != "note"}
    assert math.isnan(CHECK([row]).numbers[2][0])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"income": "1.5"}, ("features.income", "wrong_type")),
        ({"income": [1]}, ("features.income", "wrong_type")),
        ({"income": {"$ne": 1}}, ("features.income", "wrong_type")),
        ({"income": None}, ("features.income", "null")),
        ({"income": math.nan}, ("features.income", "not_finite")),
        ({"age": math.nan}, ("features.age", "not_finite")),
        ({"income": math.inf}, ("features.income", "not_finite")),
        ({"income": -math.inf}, ("features.income", "not_finite")),
        ({"income": 10**400}, ("features.income", "out_of_range")),
        ({"income": -(10**400)}, ("features.income", "out_of_range")),
        ({"income": 10**5000}, ("features.income", "out_of_range")),
        ({"income": 1e39}, ("features.income", "out_of_range")),
        ({"site": 1}, ("features.site", "wrong_type")),
        ({"site": True}, ("features.site", "wrong_type")),
        ({"site": ["a"]}, ("features.site", "wrong_type")),
        ({"site": None}, ("features.site", "null")),
        ({"site": ""}, ("features.site", "null")),
        ({"site": "z"}, ("features.site", "unseen_category")),
        ({"site": "A"}, ("features.site", "unseen_category")),
        ({"site": "a" * 5000}, ("features.site", "unseen_category")),
        ({"code": "x" * 1001}, ("features.code", "bad_text")),
        ({"code": "a\0b"}, ("features.code", "bad_text")),
        ({"code": "\ud800"}, ("features.code", "bad_text")),
        ({"extra": 1}, ("features.extra", "unknown_feature")),
        ({"../../etc/passwd": 1}, ("features.../../etc/passwd", "unknown_feature")),
    ],
)
def test_each_fault_is_named(change: dict[str, Any], fault: tuple[str, str]) -> None:
    assert faults(GOOD | change) == [fault]


@pytest.mark.parametrize("row", [None, 1, "row", [GOOD], True])
def test_a_row_must_be_an_object(row: object) -> None:
    assert faults(row) == [("features", "wrong_type")]


def test_all_faults_of_a_row_are_listed() -> None:
    assert faults({"income": "x", "site": "q", "code": 1, "extra": 0}) == [
        ("features.extra", "unknown_feature"),
        ("features.income", "wrong_type"),
        ("features.age", "missing"),
        ("features.site", "unseen_category"),
        ("features.code", "wrong_type"),
    ]


def test_a_batch_names_the_row() -> None:
    with pytest.raises(Invalid) as raised:
        CHECK([GOOD, GOOD, GOOD | {"income": None}, GOOD | {"site": "z"}])
    assert [error.field for error in raised.value.errors] == ["rows[2].features.income", "rows[3].features.site"]
    with pytest.raises(Invalid) as raised:
        CHECK([GOOD | {"income": None}], single=False)
    assert raised.value.errors[0].field == "rows[0].features.income"


def test_the_list_of_faults_is_bounded() -> None:
    with pytest.raises(Invalid) as raised:
        CHECK([{"junk": 1}] * 5000)
    assert len(raised.value.errors) == MAX_ERRORS


def test_a_message_shows_the_value_short() -> None:
    with pytest.raises(Invalid) as raised:
        CHECK([GOOD | {"site": "z" * 10_000}])
    assert "'zzz" in raised.value.detail
    assert "z" * 80 not in raised.value.detail


def test_a_batch_is_encoded_in_order() -> None:
    columns = CHECK([GOOD | {"income": i, "site": "ab"[i % 2]} for i in range(5)])
    assert columns.numbers[0].tolist() == [0, 1, 2, 3, 4]
    assert columns.categories[0] == ["a", "b", "a", "b", "a"]


def test_rows_and_the_training_frame_give_the_same_columns(
    frame: pd.DataFrame, rows: list[dict[str, Any]], signatures: dict[str, Signature]
) -> None:
    from_rows = RowCheck(signatures["binary"])(json.loads(json.dumps(rows)))
    from_frame = Columns.of(frame.head(40), signatures["binary"])
    np.testing.assert_array_equal(from_rows.numbers, from_frame.numbers)
    assert from_rows.categories == from_frame.categories
    pd.testing.assert_frame_equal(from_rows.frame(), frame.head(40))
