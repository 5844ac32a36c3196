"""Prepared rows handed to LightGBM a batch at a time: it keeps the number of each cell's bin, one byte, and no cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.ml.histograms import single
from training.ml.laid import Laid
from training.ml.parted import PART_ROWS, Blocks


class Streamed(lightgbm.Dataset):
    """A data set of a stream whose bins are those of a matrix. LightGBM would draw its rows without the seed, and drop
    columns without the least rows of a leaf: of a stream it passes on none but what is named after a data set."""

    def get_params(self) -> dict[str, Any]:
        return dict(self.params or {})


class Stream(lightgbm.Sequence):
    """The rows of `Blocks` in order. LightGBM asks twice, each time from the first row on: for the rows that it draws
    its bins from, which it chooses by seed and place as those of a matrix, and for all rows. They are prepared once."""

    batch_size = PART_ROWS

    def __init__(self, blocks: Blocks) -> None:
        self._rows_at_all, self._width = blocks.shape
        self._laid: list[Laid[csr_matrix]] = []
        self._more = blocks.map(_packed)
        self._restart()

    def __len__(self) -> int:
        return self._rows_at_all

    def __getitem__(self, place: Any) -> NDArray[np.float64]:
        if isinstance(place, slice):
            return self._rows(place.start, place.stop)
        row: NDArray[np.float64] = self._rows(int(place), int(place) + 1)[0]
        return row

    def _restart(self) -> None:
        self._first, self._held = 0, np.empty((0, self._width), np.float32)
        self._next = self._parts()

    def _parts(self) -> Iterator[NDArray[np.float32]]:
        for laid in list(self._laid):
            yield laid.read().toarray()
        for part in self._more:
            self._laid.append(Laid(part))
            yield part.toarray()

    def _rows(self, start: int, stop: int) -> NDArray[np.float64]:
        if start < self._first:
            self._restart()
        while self._first + len(self._held) < stop:
            rest = self._held[min(start - self._first, len(self._held)) :]
            self._first += len(self._held) - len(rest)
            self._held = np.concatenate([rest, next(self._next)])
        return self._held[start - self._first : stop - self._first].astype(np.float64)


def _packed(matrix: Any) -> csr_matrix:
    """Single precision without the zeros, of which categories have most."""
    return csr_matrix(single(matrix))
