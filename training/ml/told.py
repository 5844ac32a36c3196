"""What is asked of the rows of a part beside their features. A cluster's workers do it, which know no Django."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.ml import splits


class Asked(NamedTuple):
    """What is asked of each part; `whole` for a target of whole numbers that gaps may have made floats."""

    target: str
    features: list[str]
    group: str | None
    time: str | None
    whole: bool


def of_part(asked: Asked, frame: pd.DataFrame) -> tuple[Any, ...]:
    """Of a part's rows (m) with a target: truth, sides, hashes, twins, groups, times and period."""
    table = frame[frame[asked.target].notna()].reset_index(drop=True)
    if asked.whole:
        table = table.astype({asked.target: np.int64})
    twins = pd.util.hash_pandas_object(table[[*asked.features, asked.target]], index=False).to_numpy()
    told = splits.sides(table, group=asked.group), hashes_of(table), twins
    groups = None if asked.group is None else table[asked.group]
    times, period = (None, None) if asked.time is None else _timed(table[asked.time])
    return table[asked.target], *told, groups, times, period


def _timed(column: pd.Series[Any]) -> tuple[NDArray[np.float64] | None, Any]:
    """Times (m,) as numbers with the first and the last of them as they are written; None where one is no time."""
    if column.empty:
        return np.empty(0), None
    try:
        found = splits.moments(column)
    except ValueError:
        return None, None
    ends = [(float(found[at]), str(column.iloc[at])) for at in (found.argmin(), found.argmax())]
    return found, ends


def hashes_of(table: pd.DataFrame) -> NDArray[np.uint64]:
    """Each row (n,) by what it holds."""
    # As floats, because a whole-number column with one gap is a float column in the next version.
    numbers = dict.fromkeys(table.select_dtypes("number").columns, np.float64)
    return np.asarray(pd.util.hash_pandas_object(table.astype(numbers), index=False), dtype=np.uint64)
