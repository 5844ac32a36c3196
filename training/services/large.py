"""Tables too large for one frame: the same file, schema and checks, made in parts on a Dask cluster."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from django.conf import settings

from mlops_site.core import store
from training.models import DatasetVersion
from training.services.schema import schema_of

if TYPE_CHECKING:
    import pandas as pd

    from training.ml.executors import Executor
    from training.ml.quality import QualityReport

MAX_ROWS = 1_000_000_000


class Table(NamedTuple):
    """A canonical file that is not in memory, and what was found in it."""

    path: Path
    rows: int
    columns: list[str]
    schema: dict[str, Any]
    report: QualityReport
    counts: bytes  # of its profile
    personal: list[dict[str, str]]  # columns that look like personal data

    def kept(self) -> str:
        """Store the file; its digest."""
        with self.path.open("rb") as file:
            return store.put(file, max_bytes=8 * settings.MAX_UPLOAD_BYTES).digest


def is_large(source: BinaryIO, filename: str) -> bool:
    """Whether a file is worked on in parts: a csv of more than LARGE_TABLE_MB. The file stays at its start."""
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    return size > settings.LARGE_TABLE_BYTES and filename.lower().endswith(".csv")


def trains_in_parts(version: DatasetVersion) -> bool:
    """Whether a run on the version reads it in parts: more than LARGE_RUN_MB of cells, 8 bytes each."""
    return 8 * version.rows * len(version.schema["columns"]) > settings.LARGE_RUN_BYTES


@contextmanager
def opened(
    source: BinaryIO,
    *,
    name: str,
    target: str,
    time_column: str | None,
    group_column: str | None,
    expected: dict[str, Any] | None,
    private: Collection[str],
) -> Iterator[Table]:
    """The canonical form of a csv in a file of its own, with schema, checks and profile of the data set `name`;
    `expected` is what it should not depart from. TableError for what cannot be read."""
    from training.ml import conversion, large, personal
    from training.ml.stored import Stored

    roles = {"target": target, "time_column": time_column, "group_column": group_column}
    with tempfile.TemporaryDirectory(prefix="steward-table-") as folder, executor() as work:
        path = Path(folder) / "table.parquet"
        rows = conversion.to_canonical(source, path, work, max_rows=MAX_ROWS)
        stored, columns, suspects = Stored(path), dict[str, Any](), dict[str, dict[str, str]]()

        def describe(column: str, frame: pd.DataFrame) -> None:
            columns[column] = schema_of(frame, target, time_column, group_column)["columns"][0]
            for found in personal.suggested(frame):
                suspects[column] = found._asdict()

        asked: dict[str, Any] = {**roles, "expected": expected, "private": private}
        report = large.quality_of(stored, work, **asked, on_column=describe)
        in_order = [column for column in stored.columns if column in columns]
        schema = {"rows": rows, **roles, "columns": [columns[column] for column in in_order]}
        counts = large.profile_of(stored, work, salt=name).to_bytes()
        looks = [suspects[column] for column in in_order if column in suspects]
        yield Table(path, rows, stored.columns, schema, report, counts, looks)


@contextmanager
def executor() -> Iterator[Executor]:
    """The cluster of DASK_SCHEDULER_ADDRESS, else one on this machine; without the extra `dask`, this process."""
    from training.ml import executors

    if find_spec("distributed") is None:
        yield executors.Here()
        return
    limits = {"processes": settings.DASK_PROCESSES, "memory_mb": settings.DASK_MEMORY_MB}
    with executors.on_dask(settings.DASK_SCHEDULER_ADDRESS, **limits) as cluster:
        yield cluster
