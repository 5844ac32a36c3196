"""The readable cells of any column, for statistics that must not fail because of a bad one."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.stats.columns import TEXT, Kind, encode_column, is_real, text_of
from mlops_site.stats.scored import Floats

LARGEST = 1e150  # the square of a larger number is no float


@dataclass(frozen=True, eq=False)
class Cells:
    """Readable cells in canonical form (see `columns.encode`), the number of others and a first reason."""

    values: Any
    unreadable: int = 0
    why: str = ""

    @cached_property
    def present(self) -> Floats:
        """The numbers that are not missing."""
        missing = np.isnan(self.values)
        found: Floats = self.values[~missing] if missing.any() else self.values
        return found

    @cached_property
    def ordered(self) -> Floats:
        """The numbers that are not missing, sorted."""
        return np.sort(self.present)

    @cached_property
    def levels(self) -> tuple[Any, NDArray[np.int64]]:
        """The different texts, "" for missing, as they appear, and how often each does."""
        codes, levels = pd.factorize(self.values)
        return levels, np.bincount(codes, minlength=len(levels))


def read_cells(name: str, column: object, kind: Kind, *, rows: int) -> Cells:
    """The cells of a column of `rows` that `encode` would accept; raises nothing.

    A number beyond 1e150 is unreadable, and so is every cell of a column that is absent (None) or whose
    name is repeated (a frame).

    >>> read_cells("age", pd.Series([41, "?", None]), "number", rows=3).values.tolist()
    [41.0, nan]
    """
    if not isinstance(column, pd.Series):
        why = f'column "{name}" is {"absent" if column is None else "there more than once"}'
        return Cells(pd.array([], dtype=TEXT) if kind == "category" else np.empty(0), rows, why)
    try:
        values, why = encode_column(name, column, kind), f"numbers must be within {LARGEST:g}"
    except ValueError as error:
        why = str(error)
        values = _any_numbers(column) if kind == "number" else _any_texts(column)
    if kind == "category":
        return Cells(values, rows - len(values), why if len(values) < rows else "")
    if not len(values) or max(np.fmax.reduce(values), -np.fmin.reduce(values)) <= LARGEST:
        return Cells(values)
    readable = values[~(np.abs(values) > LARGEST)]
    return Cells(readable, rows - len(readable), why if len(readable) < rows else "")


def _any_numbers(column: pd.Series[Any]) -> Floats:
    """Numbers with NaN for missing and infinity for whatever is not a number."""
    if is_real(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    objects = column.to_numpy(dtype=object)
    found = np.array([_float(cell) for cell in objects], dtype=np.float64)
    found[np.asarray(pd.isna(objects), dtype=bool)] = np.nan
    return found


def _float(cell: object) -> float:
    try:
        return float(cell) if isinstance(cell, numbers.Real | Decimal | np.bool_) else np.inf
    except OverflowError:
        return np.inf


def _any_texts(column: pd.Series[Any]) -> Any:
    objects = column.to_numpy(dtype=object)
    found = []
    for cell, missing in zip(objects, np.asarray(pd.isna(objects), dtype=bool), strict=True):
        try:
            found.append("" if missing else text_of("", -1, cell))
        except ValueError:
            continue
    return pd.array(found, dtype=TEXT)
