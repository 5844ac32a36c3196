"""Settle one Arrow column as int64, float64 (null = missing) or text, or refuse it."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from training.ml.refusals import TableError, refusal

MISSING_NUMBERS = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None")

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_INFINITE = r"(?i)^\s*[+-]?inf(inity)?\s*$"
_CODE = r"^\s*[+-]?(0\d|\d{19})"
_TRUTH = r"(?i)^\s*(true|false)\s*$"


@dataclass(frozen=True)
class Evidence:
    """What some csv cells of a column say of its type: how many are present and missing among numbers, and whether all
    that are present are truth values, numbers, whole numbers. Cells that follow one another add up."""

    present: int = 0
    missing: int = 0
    truth: bool = True
    number: bool = True
    whole: bool = True

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            self.present + other.present,
            self.missing + other.missing,
            self.truth and other.truth,
            self.number and other.number,
            self.whole and other.whole,
        )


def from_text(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Settle a column of csv text: numbers if every present cell is one, true and false as 1 and 0, or text.

    The spellings of MISSING_NUMBERS are missing among numbers only: in a text column "None" is a level.
    """
    return settled(name, column, evidence(column))


def evidence(column: pa.ChunkedArray) -> Evidence:
    """Of csv cells (n,)."""
    missing = pc.is_in(column, value_set=pa.array(MISSING_NUMBERS))
    present = column.filter(pc.and_not(pc.is_valid(column), missing))
    if not len(present):
        return Evidence(missing=len(column))
    number = _is_numeric(present)
    return Evidence(
        len(present), len(column) - len(present), _every(present, _TRUTH), number, number and _all_whole(present)
    )


def settled(name: str, column: pa.ChunkedArray, known: Evidence, *, first: int = 0) -> pa.ChunkedArray:
    """Csv cells (n,) as the type that the evidence of the whole column gives it; `first` rows are ahead of them."""
    if not known.present:
        return pa.chunked_array([pa.nulls(len(column), pa.float64())])
    cells = pc.if_else(pc.is_in(column, value_set=pa.array(MISSING_NUMBERS)), None, column)
    if known.truth:
        return from_typed(name, pc.equal(pc.utf8_lower(pc.utf8_trim_whitespace(cells)), "true"))
    if not known.number:
        return column
    trimmed = pc.utf8_trim_whitespace(cells)
    if known.whole:
        return _integers(name, _plain(trimmed).cast(pa.int64()))
    return _finite(name, _plain(trimmed).cast(pa.float64()), trimmed, first=first)


def from_typed(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Settle a typed column: numbers and booleans as numbers, times as ISO text, nothing nested."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return from_typed(name, column.cast(kind.value_type))
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return _integers(name, column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return _finite(name, column.cast(pa.float64()), column)
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        return _times(name, column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = column.cast(pa.string())
        return pc.if_else(pc.equal(text, ""), None, text)
    raise unsupported(name, kind)


def _times(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except pa.ArrowException as problem:  # a time zone that is none; a kind of length of time
        message = (
            f"column {name!r} must hold times that can be written as text but is {column.type!s:.100}: {problem!s:.200}"
        )
        raise refusal("unsupported_type", message, field=name) from problem


def unsupported(name: str, kind: pa.DataType) -> TableError:
    message = f"column {name!r} must hold numbers, text, booleans or times but holds {kind!s:.200}"
    return refusal("unsupported_type", message, field=name)


def _every(column: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(column, pattern)).as_py())


def _any(column: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())


def _is_numeric(present: pa.ChunkedArray) -> bool:
    """Tell whether all cells are numbers or infinities, and none a code such as 00123 or a 19-digit id."""
    number, infinite = (pc.match_substring_regex(present, pattern) for pattern in (_NUMBER, _INFINITE))
    return bool(pc.all(pc.or_(number, infinite)).as_py()) and not _any(present, _CODE)


def _plain(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    # Arrow's parser knows no leading plus sign in integers.
    return pc.replace_substring_regex(cells, r"^\+", "")


def _all_whole(present: pa.ChunkedArray) -> bool:
    """Whether all numbers are spelled as 64-bit integers."""
    try:
        _plain(pc.utf8_trim_whitespace(present)).cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def _integers(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid as problem:
        message = f"column {name!r} must fit in 64-bit integers but does not: {problem}"
        raise refusal("out_of_range", message, field=name) from problem


def _finite(name: str, numbers: pa.ChunkedArray, cells: Any, *, first: int = 0) -> pa.ChunkedArray:
    at = pc.index(pc.is_inf(numbers), True).as_py()
    if at >= 0:
        message = f"column {name!r} must be finite but row {first + at + 1} holds {str(cells[at].as_py())[:40]}"
        raise refusal("not_finite", message, field=name)
    return pc.if_else(pc.is_nan(numbers), None, numbers)
