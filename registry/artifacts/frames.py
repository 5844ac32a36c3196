"""A frame of a file, checked against a signature like the rows of a request: column by column, so that a million rows
take seconds. What looks wrong here is judged again cell by cell, by the same rules as a request's.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.artifacts.rows import MAX_NUMBER, Columns, judge
from registry.artifacts.signature import MAX_TEXT, Input, Signature

if TYPE_CHECKING:
    import pandas as pd

TRUTHS = {"true": 1.0, "false": 0.0}
MISSING_NUMBERS = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"})
"""How training reads a csv: these are missing among numbers; in a category they are levels."""


class Fault(NamedTuple):
    """Why a row is not scored: the first thing that is wrong with it."""

    code: str
    field: str
    message: str


class Judged(NamedTuple):
    """The good rows as columns, their positions in the frame, and a fault for each other position."""

    columns: Columns
    good: NDArray[np.intp]
    faults: dict[int, Fault]


def missing(signature: Signature, names: list[str]) -> list[str]:
    """Inputs that a file must have and has not."""
    return [column.name for column in signature.inputs if column.required and column.name not in names]


def judged(
    frame: pd.DataFrame, signature: Signature, *, is_text: bool, faults: Mapping[int, Fault] | None = None
) -> Judged:
    """Every row of the frame judged by itself. `is_text`: its cells are those of a csv. `faults` are known already."""
    faults = dict(faults or {})
    found: dict[str, Any] = {}
    for column in signature.inputs:
        given = frame[column.name] if column.name in frame.columns else None
        read = _numbers if column.kind == "number" else _texts
        found[column.name] = _absent(column, len(frame)) if given is None else read(column, given, faults, is_text)
    good = np.setdiff1d(np.arange(len(frame)), np.fromiter(faults, np.intp, len(faults)), assume_unique=True)
    return Judged(_columns(signature, found, good, len(frame)), good, faults)


def _columns(signature: Signature, found: dict[str, Any], good: NDArray[np.intp], rows: int) -> Columns:
    numbers = [found[name] for name, kind in signature.kinds.items() if kind == "number"]
    texts = [found[name] for name, kind in signature.kinds.items() if kind == "category"]
    matrix = np.array(numbers, np.float64).reshape(len(numbers), rows)
    if len(good) < rows:
        matrix, texts = matrix[:, good], [text[good] for text in texts]
    return Columns(signature, matrix, [text.tolist() for text in texts])


def _absent(column: Input, rows: int) -> NDArray[Any]:
    return np.full(rows, np.nan) if column.kind == "number" else np.full(rows, "", object)


def _numbers(column: Input, given: pd.Series[Any], faults: dict[int, Fault], is_text: bool) -> NDArray[np.float64]:
    import pandas as pd
    from pandas.api import types

    if types.is_numeric_dtype(given.dtype) and not types.is_complex_dtype(given.dtype):
        values = np.array(given.to_numpy(np.float64, na_value=np.nan))
        unread = np.zeros(len(given), bool)
    else:
        read = pd.to_numeric(given, errors="coerce") if is_text else np.full(len(given), np.nan)
        values = np.array(read, np.float64)
        unread = np.isnan(values) & given.notna().to_numpy()
    absent = np.isnan(values) & ~unread
    with np.errstate(invalid="ignore"):
        odd = unread | (np.abs(values) > MAX_NUMBER) | (absent & (not column.nullable))
    for at in np.flatnonzero(odd):
        cell = given.iloc[at]
        values[at] = _judged(column, _number_of(cell) if is_text else _plain(cell), int(at), faults, np.nan)
    return values


def _number_of(cell: Any) -> Any:
    """A csv's cell, as training would read it among numbers; text that is none stays text, to be refused."""
    if not isinstance(cell, str) or cell.strip() in MISSING_NUMBERS:
        return None
    text = cell.strip()
    try:
        return TRUTHS[text.lower()] if text.lower() in TRUTHS else cell if "_" in text else float(text)
    except ValueError:
        return cell


def _texts(column: Input, given: pd.Series[Any], faults: dict[int, Fault], is_text: bool) -> NDArray[Any]:
    import pandas as pd

    codes, levels = pd.factorize(given)
    texts = np.array([*(_text_of(level) for level in levels), ""], object)
    good = np.array([_is_plain(column, text) for text in texts])
    values = texts[codes]  # of a missing cell the code is -1, the "" at the end
    for at in np.flatnonzero(~good[codes]):
        values[at] = _judged(column, values[at], int(at), faults, "")
    return values


def _is_plain(column: Input, text: Any) -> bool:
    if not isinstance(text, str):
        return False
    if text == "":
        return column.nullable
    return text in column.levels if not column.open else len(text) <= MAX_TEXT and text.isprintable()


def _text_of(level: Any) -> Any:
    """A level as training writes it (3 and 3.0 are both "3"), or what cannot be one."""
    from mlops_site.stats.columns import text_of

    try:
        return text_of("", 0, level)
    except ValueError:
        return str(level) if hasattr(level, "isoformat") else _plain(level)


def _judged(column: Input, value: Any, at: int, faults: dict[int, Fault], otherwise: float | str) -> float | str:
    found, fault = judge(column, value)
    if fault is None:
        return found
    faults.setdefault(at, Fault(fault[0], column.name, f"{column.name} {fault[1]}"))
    return otherwise


def _plain(value: Any) -> Any:
    """As a request's JSON would have it; None for a missing cell."""
    import pandas as pd

    if not isinstance(value, list | dict | np.ndarray) and pd.isna(value):
        return None
    if isinstance(value, Decimal):
        return float(value)
    return value.item() if isinstance(value, np.generic) else value
