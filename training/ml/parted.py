"""Features that stay in their file: what stands where a frame would when a run's rows are too many for one.

Rows are read a row group at a time and worked on by an executor; only a column of numbers is ever read whole. What
belongs to a row (truth, weight, score) is a vector in memory beside it, cut as the rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from mlops_site.stats.columns import Kind, encode
from mlops_site.stats.reference import mixed
from training.ml.executors import Executor, Kept
from training.ml.stored import Stored

B = TypeVar("B")
Places = NDArray[np.integer[Any]]
PART_ROWS = 25_000  # prepared at a time: dense, of 200 columns, 40 MB


@dataclass(frozen=True, eq=False)
class Parted:
    """The features `kinds` of the rows at `places` (n, ascending) of a canonical file: encoded as they are read."""

    stored: Stored
    kinds: dict[str, Kind]
    places: Places
    executor: Executor

    def __len__(self) -> int:
        return len(self.places)

    @property
    def columns(self) -> list[str]:
        return list(self.kinds)

    @property
    def iloc(self) -> At:
        """Rows by position, as of a frame; positions must ascend."""
        return At(self)

    def narrowed(self, names: list[str]) -> Parted:
        """The same rows with some of the features."""
        return replace(self, kinds={name: self.kinds[name] for name in names})

    def parts(self) -> Iterator[pd.DataFrame]:
        """The rows in order, encoded, a row group at a time."""
        return (encode(frame, self.kinds) for frame, _ in self._raw())

    def map(self, function: Callable[..., B], *vectors: NDArray[Any] | None) -> Iterator[B]:
        """`function(frame, *cut)` of each part, on the executor; `cut` are the rows' own of `vectors` (n, ...)."""
        return self.executor.map(partial(_encoded, function, self.kinds), self._with(vectors))

    def keep(self, function: Callable[..., tuple[Any, ...]], *vectors: NDArray[Any] | None) -> Kept:
        """What `map` would give, left in files where it is made to be worked on again and again."""
        return self.executor.keep(partial(_encoded, function, self.kinds), partial(self._with, vectors))

    def read(self) -> pd.DataFrame:
        """The rows as a frame: for few of them."""
        return pd.concat(self.parts(), ignore_index=True)

    def sample(self, most: int) -> NDArray[np.intp]:
        """Positions, in order, of at most so many rows, chosen by a hash of their places in the file."""
        if len(self) <= most:
            return np.arange(len(self))
        return np.sort(np.argpartition(mixed(self.places.astype(np.uint64), "sample"), most)[:most])

    def plain(self) -> pd.DataFrame:
        """The rows with every column of the file, as they are stored: for few of them."""
        parts = [frame for frame, _ in self._raw(self.stored.columns)]
        return pd.concat(parts, ignore_index=True) if parts else self.stored.group(0).head(0)

    def told(self) -> pd.DataFrame:
        """Of each feature its levels, or a number, and whether one is missing: a frame of no particular rows."""
        found = list(self.map(_told))
        columns = {name: list(dict.fromkeys(value for part in found for value in part[name])) for name in self.kinds}
        most = max(map(len, columns.values()))
        return pd.DataFrame({name: [*values, *[values[0]] * (most - len(values))] for name, values in columns.items()})

    def number(self, name: str) -> NDArray[np.float64]:
        """All values (n,) of a feature that is a number."""
        found = self.stored.whole([name])
        return encode(found, {name: "number"})[name].to_numpy()[self.places]

    def _with(self, vectors: tuple[NDArray[Any] | None, ...]) -> Iterator[tuple[Any, ...]]:
        return ((frame, *_cut(vectors, rows)) for frame, rows in self._raw())

    def _raw(self, columns: list[str] | None = None) -> Iterator[tuple[pd.DataFrame, slice]]:
        start = 0
        for number, rows in enumerate(self.stored.group_rows):
            low, high = np.searchsorted(self.places, (start, start + rows))
            if low < high:
                frame = self.stored.group(number, columns or self.columns)
                for at in range(int(low), int(high), PART_ROWS):
                    cut = slice(at, min(at + PART_ROWS, int(high)))
                    yield frame.take(self.places[cut] - start).reset_index(drop=True), cut
            start += rows


@dataclass(frozen=True)
class At:
    """Rows of a `Parted` by position."""

    of: Parted

    def __getitem__(self, positions: NDArray[Any]) -> Parted:
        return replace(self.of, places=self.of.places[positions])


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows prepared by fitted columns, a part at a time: what stands where a matrix (n, columns) would.

    `kept` is for what a fit has made of them and truth and weights that never change, while the object lives.
    """

    frame: Parted
    columns: ColumnTransformer
    kept: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.frame), len(self.columns.get_feature_names_out())

    def map(self, function: Callable[..., B], *vectors: NDArray[Any] | None) -> Iterator[B]:
        """`function(matrix, *cut)` of each part, on the executor; see `Parted.map`."""
        return self.frame.map(partial(_prepared, function, self.columns), *vectors)

    def keep(self, *vectors: NDArray[Any] | None) -> Kept:
        """The matrix of each part with its rows' own of `vectors`, kept for many passes."""
        return self.frame.keep(partial(_prepared, _these, self.columns), *vectors)

    def first(self, rows: int) -> Any:
        """The first rows, prepared."""
        return self.columns.transform(self.frame.iloc[np.arange(min(rows, len(self)))].read())


Table = pd.DataFrame | Parted


def _encoded(function: Callable[..., B], kinds: dict[str, Kind], work: tuple[Any, ...]) -> B:
    frame, *cut = work
    return function(encode(frame, kinds), *cut)


def _told(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): _values(frame[name]) for name in frame.columns}


def _values(column: pd.Series[Any]) -> list[Any]:
    if column.dtype.kind != "f":
        found: list[Any] = column.unique().tolist()
        return found
    missing = column.isna()
    return [*column[~missing].head(1).tolist(), *([None] if missing.any() else [])]


def _prepared(function: Callable[..., B], columns: ColumnTransformer, frame: pd.DataFrame, *cut: Any) -> B:
    return function(columns.transform(frame), *cut)


def _these(*part: Any) -> tuple[Any, ...]:
    return part


def _cut(vectors: tuple[NDArray[Any] | None, ...], rows: slice) -> Iterator[NDArray[Any] | None]:
    return (None if vector is None else vector[rows] for vector in vectors)
