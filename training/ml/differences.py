"""What changed from one Parquet table to the next, told from digests of cells, one column at a time.

Memory is bounded by 8 bytes for each row of either table, some few times, and one piece of one column: however many
columns there are. A digest has 64 bits: among 2,000,000 rows two different ones share it with a probability of 1e-7.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlops_site.stats.profile import Bins, Profile, profile

CHUNK_ROWS = 100_000
Digests = NDArray[np.uint64]


class ColumnChange(NamedTuple):
    """Columns that came, went, or hold another type now: (name, type before, type after)."""

    added: list[str]
    removed: list[str]
    retyped: list[tuple[str, str, str]]


class RowChange(NamedTuple):
    """Rows of either side and what became of them. By key, a row that is there on both sides is `changed` if any
    compared cell differs, and `cells` has how often each column's did; by whole rows, nothing is `changed`: another
    row is one less and one more."""

    keys: list[str]
    compared: list[str]
    before: int
    after: int
    added: int
    removed: int
    changed: int
    same: int
    cells: dict[str, int]


class _Side(NamedTuple):
    """A table, and the columns of whole numbers on both sides: compared as such, so that long ids stay apart. `done` is
    called after each column that was read."""

    table: pq.ParquetFile
    whole: set[str]
    done: Callable[[], None]


class WrongKeys(ValueError):
    """Keys that tell no rows apart; `column` is at fault, or "" for all of them."""

    def __init__(self, column: str, code: str, message: str) -> None:
        super().__init__(message)
        self.column, self.code = column, code


def untold(share: float) -> None:
    """For who does not ask how far it is."""


def columns_changed(before: pq.ParquetFile, after: pq.ParquetFile) -> ColumnChange:
    """Whole numbers and others count as one type: a gap makes the first the second."""
    old, new = _types(before), _types(after)
    retyped = [(name, old[name], new[name]) for name in old if name in new and old[name] != new[name]]
    return ColumnChange([name for name in new if name not in old], [name for name in old if name not in new], retyped)


def rows_changed(
    before: pq.ParquetFile,
    after: pq.ParquetFile,
    keys: Sequence[str] = (),
    tell: Callable[[float], None] = untold,
) -> RowChange:
    """Compare the columns that both have with the same type; `tell` hears which share of them is done. Raises WrongKeys
    for a key that one side lacks, that is of another type there, or that does not tell its rows apart."""
    old, new = _types(before), _types(after)
    shared = [name for name in old if old[name] == new.get(name)]
    for name in keys:
        if name not in shared:
            raise WrongKeys(name, "unknown_column", f"{name!r} must be a column of both versions, of the same type")
    whole = _whole(before) & _whole(after)
    done = _counter(2 * len(shared), tell)
    pair = (_Side(before, whole, done), _Side(after, whole, done))
    if not keys:
        return _by_rows(*pair, shared)
    return _by_keys(*pair, list(dict.fromkeys(keys)), [name for name in shared if name not in keys])


def _counter(total: int, tell: Callable[[float], None]) -> Callable[[], None]:
    count = itertools.count(1)
    return lambda: tell(next(count) / total)


def profile_on(table: pq.ParquetFile, bins: Bins) -> Profile:
    """The rows of a table counted on the bins of another, piece by piece."""
    total = Profile.empty(bins)
    for piece in table.iter_batches(batch_size=CHUNK_ROWS, columns=[n for n in _types(table) if n in bins.features]):
        total += profile(piece.to_pandas(), bins)
    return total


def _types(table: pq.ParquetFile) -> dict[str, str]:
    kinds = {"int64": "number", "double": "number"}
    return {column.name: kinds.get(str(column.type), "text") for column in table.schema_arrow}


def _whole(table: pq.ParquetFile) -> set[str]:
    return {column.name for column in table.schema_arrow if str(column.type) == "int64"}


def _by_rows(before: _Side, after: _Side, shared: list[str]) -> RowChange:
    old, new = _digests(before, shared), _digests(after, shared)
    levels, places = np.unique(np.concatenate([old, new]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(levels)) for part in (places[: len(old)], places[len(old) :])]
    same = int(np.minimum(*counts).sum())
    return RowChange([], shared, len(old), len(new), len(new) - same, len(old) - same, 0, same, {})


def _by_keys(before: _Side, after: _Side, keys: list[str], others: list[str]) -> RowChange:
    sides = _digests(before, keys), _digests(after, keys)
    for side, found in zip(("before", "after"), sides, strict=True):
        if repeated := len(found) - len(np.unique(found)):
            names = ", ".join(keys)
            raise WrongKeys("", "keys_not_unique", f"{names} must tell rows apart but {repeated:,} repeat one {side}")
    _, left, right = np.intersect1d(*sides, assume_unique=True, return_indices=True)
    changed, cells = np.zeros(len(left), dtype=bool), {}
    for name in others:
        differs = _digests(before, [name])[left] != _digests(after, [name])[right]
        cells[name] = int(differs.sum())
        changed |= differs
    n, m, both, other = len(sides[0]), len(sides[1]), len(left), int(changed.sum())
    return RowChange(keys, others, n, m, m - both, n - both, other, both - other, cells)


def _digests(side: _Side, names: Sequence[str]) -> Digests:
    """One digest a row over the named columns, in their order."""
    total = np.full(side.table.metadata.num_rows, 0x9E3779B97F4A7C15, dtype=np.uint64)
    for name in names:
        at = 0
        for piece in _pieces(side, name):
            part = total[at : at + len(piece)]
            part *= np.uint64(0x100000001B3)  # so that cells that change places change the row
            part += _mixed(pd.util.hash_array(piece, categorize=True))
            at += len(piece)
        side.done()
    return total


def _pieces(side: _Side, name: str) -> Iterator[Any]:
    for batch in side.table.iter_batches(batch_size=CHUNK_ROWS, columns=[name]):
        column = batch.column(0).to_pandas()
        if name in side.whole:
            yield column.to_numpy(dtype=np.int64)
        elif pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            yield np.where(values == 0, 0.0, values)  # minus zero is zero
        else:
            yield column.to_numpy(dtype=object)


def _mixed(digests: Digests) -> Digests:
    """The finisher of SplitMix64: sums of plain hashes of equal columns would cancel out."""
    mixed = (digests ^ (digests >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
