"""Prepared rows handed to LightGBM a batch at a time: it keeps the number of each cell's bin, one byte, and no cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from training.ml.histograms import single
from training.ml.parted import PART_ROWS, Blocks


class Stream(lightgbm.Sequence):
    """The rows of `Blocks` in order. LightGBM asks twice, each time from the first row on: for the rows that it draws
    its bins from, which it chooses by seed and place as those of a matrix, and for all rows."""

    batch_size = PART_ROWS

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._restart()

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, place: Any) -> NDArray[np.float64]:
        if isinstance(place, slice):
            return self._rows(place.start, place.stop)
        row: NDArray[np.float64] = self._rows(int(place), int(place) + 1)[0]
        return row

    def _restart(self) -> None:
        self._first, self._held = 0, np.empty((0, self._blocks.shape[1]), np.float32)
        self._next: Iterator[NDArray[np.float32]] = self._blocks.map(single)

    def _rows(self, start: int, stop: int) -> NDArray[np.float64]:
        if start < self._first:
            self._restart()
        while self._first + len(self._held) < stop:
            rest = self._held[min(start - self._first, len(self._held)) :]
            self._first += len(self._held) - len(rest)
            self._held = np.concatenate([rest, next(self._next)])
        return self._held[start - self._first : stop - self._first].astype(np.float64)
