"""A canonical Parquet file, read a row group or a column at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


class Stored(NamedTuple):
    """A canonical Parquet file; what is read of it is canonical too."""

    path: Path

    @property
    def columns(self) -> list[str]:
        return list(pq.read_schema(self.path).names)

    @property
    def rows(self) -> int:
        return int(pq.read_metadata(self.path).num_rows)

    @property
    def group_rows(self) -> list[int]:
        """How many rows each row group has."""
        found = pq.read_metadata(self.path)
        return [found.row_group(number).num_rows for number in range(found.num_row_groups)]

    def group(self, number: int, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The rows of one row group."""
        file = pq.ParquetFile(self.path, pre_buffer=False)
        return _frame(file.read_row_group(number, columns=columns, use_threads=False))

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Its rows in order, a row group at a time."""
        return (self.group(number, columns) for number in range(len(self.group_rows)))

    def whole(self, columns: Sequence[str]) -> pd.DataFrame:
        """All rows of a few columns."""
        return _frame(pq.read_table(self.path, columns=list(columns), use_threads=False, pre_buffer=False))


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return frame
