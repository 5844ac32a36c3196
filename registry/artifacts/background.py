"""The rows that an explanation compares with: chosen once when a version is registered, kept with it as Parquet."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from registry.artifacts.rows import Columns
from registry.artifacts.signature import Signature

if TYPE_CHECKING:
    import pandas as pd

BACKGROUND_ROWS = 100
_SEED = 20_240


def background_of(frame: pd.DataFrame) -> pd.DataFrame:
    """At most 100 rows of a canonical frame of training rows, drawn at random but always the same ones."""
    if len(frame) <= BACKGROUND_ROWS:
        return frame.reset_index(drop=True)
    picked = np.random.default_rng(_SEED).choice(len(frame), BACKGROUND_ROWS, replace=False)
    return frame.iloc[np.sort(picked)].reset_index(drop=True)


def to_bytes(frame: pd.DataFrame) -> bytes:
    """The frame as Parquet: the inputs of the model and no other column."""
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    return sink.getvalue()


def from_bytes(content: bytes, signature: Signature) -> Columns:
    """The rows that `to_bytes` wrote, as a scorer takes them."""
    import pandas as pd

    return Columns.of(pd.read_parquet(io.BytesIO(content))[list(signature.names)], signature)


def row_of(columns: Columns, index: int) -> dict[str, Any]:
    """One row by feature, as a caller would send it: null where something is missing."""
    found = {name: values[index] for name, values in columns.by_name().items()}
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value or None
    return None if value != value else float(value)


def take(columns: Columns, rows: Iterable[int]) -> Columns:
    picked = list(rows)
    texts = [[values[i] for i in picked] for values in columns.categories]
    return Columns(columns.signature, columns.numbers[:, picked], texts)


def mixtures(row: Columns, against: Columns, masks: NDArray[np.bool_]) -> Columns:
    """For each mask, all background rows with the row's inputs where the mask is true."""
    kinds = [column.kind for column in row.signature.inputs]
    numbers = iter(zip(row.numbers[:, 0], against.numbers, strict=True))
    texts = iter(zip([values[0] for values in row.categories], against.categories, strict=True))
    mixed: list[NDArray[np.float64]] = []
    written: list[list[str]] = []
    for place, kind in enumerate(kinds):
        taken = masks[:, place, np.newaxis]
        if kind == "number":
            own, values = next(numbers)
            mixed.append(np.where(taken, own, values[np.newaxis]).ravel())
        else:
            text, other = next(texts)
            written.append(
                np.where(taken, np.array(text, object), np.array(other, object)[np.newaxis]).ravel().tolist()
            )
    rows = len(masks) * against.rows
    return Columns(row.signature, np.array(mixed, np.float64).reshape(len(mixed), rows), written)
