"""The schema of a table as JSON."""

from typing import Any

import pandas as pd
from pandas.api import types

MAX_LEVELS = 100


def infer_schema(
    frame: pd.DataFrame, *, target: str, time_column: str | None = None, group_column: str | None = None
) -> dict[str, Any]:
    """Describe a canonical frame of n rows, ready for JSON, one entry a column in its order.

    `{"rows", "target", "time_column", "group_column", "columns": [{"name", "kind", "integer", "null_share",
    "distinct", "min", "max", "levels"}]}`; levels of a category are left out (None) beyond 100.
    """
    return {
        "rows": len(frame),
        "target": target,
        "time_column": time_column,
        "group_column": group_column,
        "columns": [_described(str(name), frame[name]) for name in frame.columns],
    }


def _described(name: str, column: "pd.Series[Any]") -> dict[str, Any]:
    known, kind = column.dropna(), _kind(column)
    number = kind == "number" and len(known) > 0
    distinct = int(known.nunique())
    return {
        "name": name,
        "kind": kind,
        "integer": bool(number and (known == known.round()).all()),
        "null_share": float(column.isna().mean()) if len(column) else 0.0,
        "distinct": distinct,
        "min": known.min().item() if number else None,
        "max": known.max().item() if number else None,
        "levels": sorted(known.unique().tolist()) if kind == "category" and distinct <= MAX_LEVELS else None,
    }


def _kind(column: "pd.Series[Any]") -> str:
    return "number" if types.is_numeric_dtype(column) else "category"
