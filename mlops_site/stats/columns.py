"""The two kinds of column, and the one canonical frame that training, profiles and serving all see."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

Kind = Literal["number", "category"]

_NUMERIC = {"integer", "floating", "mixed-integer-float", "boolean", "decimal", "empty"}
_TIMES = {"datetime", "datetime64", "date", "time", "timedelta", "timedelta64", "period", "interval"}

TEXT = pd.StringDtype(na_value=np.nan)


def infer_kinds(frame: pd.DataFrame) -> dict[str, Kind]:
    """Kind of every column of `frame`, in its order: numbers and booleans, or categories.

    Raises ValueError for a time, a complex number, a repeated name or a name that is not a string.

    >>> infer_kinds(pd.DataFrame({"age": [41, 52], "retired": [True, False], "site": ["a", None]}))
    {'age': 'number', 'retired': 'number', 'site': 'category'}
    """
    for name in frame.columns:
        if not isinstance(name, str):
            raise ValueError(f"column names must be strings but got {name!r}")
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f'column names must be unique but got "{repeated}" more than once')
    return {name: infer_kind(name, frame[name]) for name in frame.columns}


def infer_kind(name: str, column: pd.Series[Any]) -> Kind:
    """Kind of one column; an object column is judged by its values, so a missing value changes nothing."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype | pd.StringDtype):
        return "category"
    is_object = types.is_object_dtype(dtype)
    if (types.is_bool_dtype(dtype) and not is_object) or is_real(dtype):
        return "number"
    content = types.infer_dtype(column, skipna=True) if is_object else str(dtype)
    if content in _TIMES or not is_object:
        raise ValueError(
            f'column "{name}" must be a number or a category but got {content}: turn it into a number '
            "(days since an event, an hour, a month) before it becomes a feature"
        )
    return "number" if content in _NUMERIC - {"empty"} else "category"


def is_real(dtype: Any) -> bool:
    """Whether a column of that type holds real numbers (or booleans, for the nullable types)."""
    return types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)


def encode(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """The canonical frame: the columns of `kinds` in that order, on the index of `frame`.

    A number is float64 with NaN for missing, a category is `str` with "" for missing, written so that 3
    and 3.0 are both "3". Raises ValueError naming column and row (from 0) for a missing column, an
    infinite number or a value of the other kind.

    >>> rows = pd.DataFrame({"age": [41, None], "plan": [3.0, None], "unused": [0, 0]})
    >>> encode(rows, {"plan": "category", "age": "number"}).to_dict("list")
    {'plan': ['3', ''], 'age': [41.0, nan]}
    """
    for name in kinds:
        if name not in frame.columns:
            raise ValueError(f'column "{name}" must be present but the columns are {list(frame.columns)}')
    columns = {name: encode_column(name, frame[name], kind) for name, kind in kinds.items()}
    return pd.DataFrame(columns, index=frame.index, columns=pd.Index(list(kinds), dtype=object), copy=False)


def encode_column(name: str, column: pd.Series[Any], kind: Kind) -> Any:
    """One canonical column as an array: float64 for a number, strings for a category (see `encode`)."""
    if kind == "number":
        return _numbers(name, column)
    if kind == "category":
        return _texts(name, column)
    raise ValueError(f'kind of column "{name}" must be "number" or "category" but got {kind!r}')


def _numbers(name: str, column: pd.Series[Any]) -> NDArray[np.float64]:
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        values = column.to_numpy(dtype=np.float64)
    elif is_real(dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = _numbers_from_objects(name, column)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise ValueError(f'column "{name}" must be finite but got {values[row]} in row {row}')
    return values


def _numbers_from_objects(name: str, column: pd.Series[Any]) -> NDArray[np.float64]:
    objects = column.to_numpy(dtype=object)
    missing = np.asarray(pd.isna(objects), dtype=bool)
    if types.infer_dtype(objects, skipna=True) not in _NUMERIC:
        for row in np.flatnonzero(~missing):
            # Text is refused even where it looks like a number: "012" may be a code, and JSON knows numbers.
            if not isinstance(objects[row], numbers.Real | Decimal | np.bool_):
                raise ValueError(f'column "{name}" must be a number but got {objects[row]!r} in row {row}')
    values = np.full(len(objects), np.nan)
    try:
        values[~missing] = objects[~missing].astype(np.float64)
    except OverflowError as error:
        raise ValueError(f'column "{name}" must fit in a 64-bit float but got a larger number') from error
    return values


def _texts(name: str, column: pd.Series[Any]) -> Any:
    dtype = column.dtype
    if isinstance(dtype, pd.StringDtype):
        texts = column if dtype == TEXT else column.astype(TEXT)
        return texts.array.fillna("") if texts.hasnans else texts.array
    if isinstance(dtype, pd.CategoricalDtype):
        levels = [*(text_of(name, -1, level) for level in dtype.categories), ""]
        return pd.array(np.array(levels, dtype=object)[column.cat.codes.to_numpy()], dtype=TEXT)
    objects = column.to_numpy(dtype=object)
    if types.infer_dtype(objects, skipna=False) == "string":
        return pd.array(objects, dtype=TEXT)
    missing = np.asarray(pd.isna(objects), dtype=bool)
    written = [
        "" if absent else text_of(name, row, value)
        for row, (value, absent) in enumerate(zip(objects, missing, strict=True))
    ]
    return pd.array(written, dtype=TEXT)


def text_of(name: str, row: int, value: object) -> str:
    """How a level is written; `row` only serves the message."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real | Decimal):
        number = float(cast(float, value))
        if not np.isfinite(number):
            raise ValueError(f'column "{name}" must be finite but got {number} in row {row}')
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    raise ValueError(f'column "{name}" must hold text or numbers but got {value!r} in row {row}')
