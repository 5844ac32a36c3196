"""Column kinds and the canonical frame."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.columns import Kind, encode, infer_kinds


def test_kinds_follow_the_values_and_not_the_missing_ones() -> None:
    frame = pd.DataFrame(
        {
            "bool": [True, False],
            "int": [1, 2],
            "float": [0.5, None],
            "nullable": pd.array([1, None], dtype="Int64"),
            "flag": pd.array([True, None], dtype="boolean"),
            "objects": pd.Series([1, None], dtype=object),
            "money": pd.Series([Decimal("1.5"), None], dtype=object),
            "text": ["a", None],
            "levels": pd.Categorical([1, 2]),
            "mixed": pd.Series([1, "a"], dtype=object),
            "nothing": pd.Series([None, None], dtype=object),
        }
    )
    kinds = infer_kinds(frame)
    assert [name for name, kind in kinds.items() if kind == "category"] == [
        "text",
        "levels",
        "mixed",
        "nothing",
    ]
    assert list(encode(frame, kinds)) == list(frame)


@pytest.mark.parametrize(
    "values",
    [
        pd.to_datetime(["2026-01-01"]),
        pd.to_datetime(["2026-01-01"], utc=True),
        pd.to_timedelta([1], unit="s"),
        pd.PeriodIndex(["2026-01"], freq="M"),
        pd.Series([date(2026, 1, 1)], dtype=object),
        [1 + 2j],
    ],
    ids=["time", "zoned", "delta", "period", "date", "complex"],
)
def test_a_time_or_a_complex_number_is_refused_by_name(values: object) -> None:
    with pytest.raises(ValueError, match='column "seen" must be a number or a category but got'):
        infer_kinds(pd.DataFrame({"age": [1], "seen": values}))


def test_repeated_and_nameless_columns_are_refused() -> None:
    with pytest.raises(ValueError, match='must be unique but got "a"'):
        infer_kinds(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(ValueError, match="must be strings but got 0"):
        infer_kinds(pd.DataFrame([[1, 2]]))


def test_numbers_become_float64_with_nan() -> None:
    frame = pd.DataFrame(
        {
            "bool": pd.array([True, None], dtype="boolean"),
            "int": pd.array([7, None], dtype="Int64"),
            "objects": pd.Series([Decimal("1.25"), None], dtype=object),
            "mixed": pd.Series([True, 2.5], dtype=object),
        }
    )
    kinds: dict[str, Kind] = dict.fromkeys(frame.columns, "number")
    got = encode(frame, kinds)
    assert (got.dtypes == np.float64).all()
    assert got.iloc[0].tolist() == [1.0, 7.0, 1.25, 1.0]
    assert got.iloc[1, :3].isna().all()


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2], ["1", "2"]),
        ([1.0, np.nan], ["1", ""]),
        ([0.5, 1e300], ["0.5", "1e+300"]),
        ([True, False], ["True", "False"]),
        (pd.array([3, None], dtype="Int64"), ["3", ""]),
        (pd.Categorical([2.0, None]), ["2", ""]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (pd.Series(["a", None], dtype=object), ["a", ""]),
        (pd.Series(["a", pd.NA], dtype="string"), ["a", ""]),
        (pd.Series(["3.0", 3.0], dtype=object), ["3.0", "3"]),
        (pd.Series([None, None], dtype=object), ["", ""]),
    ],
)
def test_a_category_is_text_without_a_trailing_zero(values: object, texts: list[str]) -> None:
    got = encode(pd.DataFrame({"plan": values}), {"plan": "category"})
    assert got["plan"].tolist() == texts
    assert got["plan"].dtype == "str"


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("number", [1.0, np.inf], 'column "x" must be finite but got inf in row 1'),
        ("category", [1.0, -np.inf], 'column "x" must be finite but got -inf in row 1'),
        ("number", [1, "12"], "column \"x\" must be a number but got '12' in row 1"),
        ("number", ["a", "b"], "column \"x\" must be a number but got 'a' in row 0"),
        ("number", [10**400, 1], 'column "x" must fit in a 64-bit float'),
        ("category", [["a"], "b"], r"column \"x\" must hold text or numbers but got \['a'\] in row 0"),
        ("vector", [1, 2], "kind of column \"x\" must be .* but got 'vector'"),
    ],
)
def test_a_bad_value_is_named_with_its_row(kind: Kind, values: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(pd.DataFrame({"x": values}), {"x": kind})


def test_a_missing_column_is_named_and_an_extra_one_left_out() -> None:
    frame = pd.DataFrame({"a": [1], "b": [2]}, index=[7])
    assert encode(frame, {"b": "number"}).to_dict() == {"b": {7: 2.0}}
    with pytest.raises(ValueError, match=r"column \"c\" must be present but the columns are \['a', 'b'\]"):
        encode(frame, {"c": "number"})


def test_encoding_twice_changes_nothing_and_an_empty_frame_keeps_its_columns() -> None:
    kinds: dict[str, Kind] = {"a": "number", "b": "category"}
    once = encode(pd.DataFrame({"a": [1, None], "b": [1, None]}), kinds)
    pd.testing.assert_frame_equal(encode(once, kinds), once)
    empty = encode(once.iloc[:0], kinds)
    assert list(empty) == ["a", "b"]
    assert empty.dtypes.astype(str).tolist() == ["float64", "str"]
    assert len(empty) == 0
