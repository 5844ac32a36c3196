"""Rows of a file are judged as rows of a request are."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_site.core.errors import Invalid
from registry.artifacts.frames import judged, missing
from registry.artifacts.rows import Columns, check_rows
from registry.artifacts.signature import Input, Signature

SIGNATURE = Signature(
    (
        Input("age", "number"),
        Input("cost", "number", nullable=True),
        Input("plan", "category", levels=("basic", "full")),
        Input("site", "category", nullable=True, levels=("a", "b", "1"), open=True),
    ),
    "regression",
)
NUMBER = st.one_of(st.none(), st.floats(), st.integers(-(2**40), 2**40), st.booleans())
TEXT = st.one_of(st.none(), st.sampled_from(["basic", "full", "", "a", "NA", "new"]), st.text(max_size=5))


def answer_to(row: dict[str, Any]) -> Columns | Invalid:
    try:
        return check_rows(SIGNATURE, [row])
    except Invalid as error:
        return error


@given(st.lists(st.fixed_dictionaries({"age": NUMBER, "cost": NUMBER, "plan": TEXT, "site": TEXT}), min_size=1))
def test_a_row_is_good_exactly_where_a_request_would_be(rows: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in rows[0]})
    found = judged(frame, SIGNATURE, is_text=False)
    for at, row in enumerate(rows):
        # Among the cells of a table NaN is a missing one.
        plain = {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
        columns = answer_to(plain)
        if isinstance(columns, Invalid):
            assert at in found.faults
            assert found.faults[at].code in {each.code for each in columns.errors}
            continue
        assert at not in found.faults
        place = found.good.tolist().index(at)
        np.testing.assert_array_equal(columns.numbers[:, 0], found.columns.numbers[:, place])
        assert [text[0] for text in columns.categories] == [text[place] for text in found.columns.categories]


def test_cells_of_a_csv_are_read_as_training_reads_them() -> None:
    text = "age,cost,plan,site\n 12 ,NA,basic,007\ntrue,1e3,full,NA\n1_000,,basic,\n,2,full,x\n3,inf,basic,\n4,5,,a\n"
    frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    found = judged(frame, SIGNATURE, is_text=True)
    assert found.good.tolist() == [0, 1]
    np.testing.assert_array_equal(found.columns.numbers, [[12, 1], [np.nan, 1000]])
    assert found.columns.categories == [["basic", "full"], ["007", "NA"]]
    assert {at: (fault.code, fault.field) for at, fault in found.faults.items()} == {
        2: ("wrong_type", "age"), 3: ("null", "age"), 4: ("not_finite", "cost"), 5: ("null", "plan"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([3, 4], dtype="Int64"),
        pd.Series([3.0, 4.0], dtype=np.float32),
        pd.Series([Decimal(3), Decimal(4)]),
        pd.Series([3, 4]).astype("category"),
        pd.Series([3, 4], dtype=np.uint8),
    ],
)
def test_numbers_of_every_type_are_numbers(column: pd.Series) -> None:
    frame = pd.DataFrame({"age": column, "cost": [None, 1.0], "plan": ["basic", "full"], "site": [1.0, 1.0]})
    found = judged(frame, SIGNATURE, is_text=False)
    assert not found.faults, json.dumps({at: fault.message for at, fault in found.faults.items()})
    assert found.columns.numbers[0].tolist() == [3, 4]
    assert found.columns.categories[1] == ["1", "1"]


def test_only_what_must_be_given_is_missing() -> None:
    loose = Signature((Input("age", "number"), Input("cost", "number", required=False, nullable=True)), "regression")
    assert missing(loose, ["cost"]) == ["age"]
    found = judged(pd.DataFrame({"age": [1.0, 2.0]}), loose, is_text=False)
    np.testing.assert_array_equal(found.columns.numbers, [[1, 2], [np.nan, np.nan]])
