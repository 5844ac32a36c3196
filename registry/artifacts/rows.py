"""Rows as a caller sends them, checked against a signature and turned into the columns that a model scores.

One good row of 31 features takes about 10 microseconds: it is judged in bulk, and only a row that looks wrong
is gone through value by value, to say everything that is wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_site.core.errors import FieldError, Invalid
from registry.artifacts.signature import MAX_TEXT, Input, Signature

if TYPE_CHECKING:
    import pandas as pd

MAX_ERRORS = 100
"""So many faults are listed; a request with more is wrong enough."""

MAX_NUMBER = float(np.finfo(np.float32).max)
"""Beyond this a number becomes infinite inside a model, whose arithmetic is in single precision."""

_NUMBERS = frozenset({float, int, bool})


_Row = tuple[NDArray[np.float64], list[str]]
_Verdict = tuple[float | str, tuple[str, str] | None]


class Columns(NamedTuple):
    """n rows by feature: numbers (k, n) float64, NaN missing; categories c lists of n, "" missing."""

    signature: Signature
    numbers: NDArray[np.float64]
    categories: list[list[str]]

    @property
    def rows(self) -> int:
        return int(self.numbers.shape[1])

    def by_name(self) -> dict[str, NDArray[np.float64] | list[str]]:
        """The same columns under their names, in the signature's order."""
        numbers, categories = iter(self.numbers), iter(self.categories)
        return {
            column.name: next(numbers) if column.kind == "number" else next(categories)
            for column in self.signature.inputs
        }

    @classmethod
    def of(cls, frame: pd.DataFrame, signature: Signature) -> Columns:
        """The columns of a canonical frame (n, features), as training has it."""
        numbers = [name for name, kind in signature.kinds.items() if kind == "number"]
        values = frame[numbers].to_numpy(np.float64).T.reshape(len(numbers), len(frame))
        texts = [frame[name].tolist() for name, kind in signature.kinds.items() if kind == "category"]
        return cls(signature, values, texts)

    def frame(self) -> pd.DataFrame:
        """The canonical frame that the scikit-learn pipeline was trained on."""
        import pandas as pd

        return pd.DataFrame(self.by_name(), columns=list(self.signature.names))


class RowCheck:
    """Checks rows against one signature; made once per signature, for it looks up names in advance.

    >>> from registry.artifacts.signature import Input, Signature
    >>> plan = Input("plan", "category", levels=("basic",))
    >>> check = RowCheck(Signature((Input("age", "number"), plan), "regression"))
    >>> check([{"age": True, "plan": "basic"}]).by_name()
    {'age': array([1.]), 'plan': ['basic']}
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._inputs = {column.name: column for column in signature.inputs}
        self._size = len(self._inputs)
        self._numbers = [column.name for column in signature.inputs if column.kind == "number"]
        categories = [column for column in signature.inputs if column.kind == "category"]
        self._categories = [(column.name, frozenset(column.levels)) for column in categories]

    def __call__(self, rows: Sequence[Mapping[str, Any]], *, single: bool | None = None) -> Columns:
        """The rows as columns, or Invalid with every fault: `features.age`, of many `rows[3].features.age`.

        `single` says which of the two the request used; left out, one row is taken for `features`.
        """
        single = len(rows) == 1 if single is None else single
        columns = [self._plainly_good(row) for row in rows]
        faults: list[FieldError] = []
        for index, row in enumerate(rows):
            if columns[index] is None:
                place = "features" if single else f"rows[{index}].features"
                columns[index] = self._slowly(row, place, faults)
            if len(faults) >= MAX_ERRORS:
                break
        if faults:
            raise _refusal(faults)
        good = [column for column in columns if column is not None]
        if len(good) == 1:
            numbers = good[0][0].reshape(-1, 1)
        else:
            numbers = np.array([row[0] for row in good], np.float64).reshape(len(good), len(self._numbers)).T
        categories = [[row[1][i] for row in good] for i in range(len(self._categories))]
        return Columns(self.signature, numbers, categories)

    def _plainly_good(self, row: Mapping[str, Any]) -> _Row | None:
        """The row's values if nothing needs a second look; accepts nothing that `_slowly` refuses."""
        try:
            texts = []
            for name, levels in self._categories:
                text = row[name]
                if text not in levels or not text:
                    return None
                texts.append(text)
            values = [row[name] for name in self._numbers]
            if len(row) != self._size or not _NUMBERS.issuperset(map(type, values)):
                return None
            numbers = np.array(values, np.float64)
        except (KeyError, TypeError, OverflowError, ValueError):
            return None
        # NaN fails the comparison too.
        return (numbers, texts) if bool((np.abs(numbers) <= MAX_NUMBER).all()) else None

    def _slowly(self, row: object, place: str, faults: list[FieldError]) -> _Row | None:
        if not isinstance(row, Mapping):
            message = f"must be an object with the features but got {_shown(row)}"
            faults.append(FieldError(place, "wrong_type", message))
            return None
        before = len(faults)
        for name in row:
            if name not in self._inputs:
                message = f"{_shown(name)} is not an input of this version; leave it out"
                faults.append(FieldError(f"{place}.{str(name)[:80]}", "unknown_feature", message))
        values: dict[str, float | str] = {}
        for name, column in self._inputs.items():
            value, fault = judge(column, row[name]) if name in row else _absent(column)
            if fault is not None:
                faults.append(FieldError(f"{place}.{name}", *fault))
            else:
                values[name] = value
        if len(faults) > before:
            return None
        numbers = np.array([values[name] for name in self._numbers], np.float64)
        return numbers, [str(values[name]) for name, _ in self._categories]


def _absent(column: Input) -> _Verdict:
    if column.required:
        return 0.0, ("missing", f"must be given: a {column.kind}{', or null' if column.nullable else ''}")
    return _null(column)


def _null(column: Input) -> _Verdict:
    return math.nan if column.kind == "number" else "", None


def judge(column: Input, value: object) -> _Verdict:
    """One value of a column: as it is scored, or (code, message) of what is wrong with it."""
    if value is None or (value == "" and column.kind == "category"):
        if column.nullable:
            return _null(column)
        shown = f"must be a {column.kind} but got {_shown(value)}; the data set had no missing value here"
        return 0.0, ("null", shown)
    return _number(value) if column.kind == "number" else _category(column, value)


def _number(value: object) -> _Verdict:
    if not isinstance(value, int | float):
        return 0.0, ("wrong_type", f"must be a number but got {_shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        return 0.0, ("not_finite", f"must be a finite number, or null where it is missing, but got {value}")
    if abs(value) > MAX_NUMBER:
        return 0.0, ("out_of_range", f"must be between -3.4e38 and 3.4e38 but got {_shown(value)}")
    return float(value), None


def _category(column: Input, value: object) -> _Verdict:
    if not isinstance(value, str):
        return "", ("wrong_type", f"must be a text but got {_shown(value)}")
    if column.open:
        # A lone surrogate or a NUL is valid JSON, but neither PostgreSQL nor ONNX Runtime can hold it.
        if len(value) > MAX_TEXT or "\0" in value or not _encodes(value):
            return "", ("bad_text", f"must be at most {MAX_TEXT} valid characters but got {_shown(value)}")
    elif value not in column.levels:
        known = ", ".join(column.levels[:10]) + (", …" if len(column.levels) > 10 else "")
        message = f"must be a level seen in training ({known:.300}) but got {_shown(value)}"
        return "", ("unseen_category", message)
    return value, None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    """The value, short, safe to print and never slow: a huge integer is not written out."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = ascii(value[:81]) if isinstance(value, str) and not _encodes(value) else repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _refusal(faults: list[FieldError]) -> Invalid:
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    detail = f"{first.field}: {first.message}{more}"
    return Invalid(detail, code="bad_features", errors=faults[:MAX_ERRORS])


def check_rows(signature: Signature, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Check once; whoever serves keeps a `RowCheck` instead."""
    return RowCheck(signature)(rows)
