"""A csv or parquet file read in pieces, so that its length does not matter.

Cells of a csv stay text: whoever knows what a column is (`registry.artifacts.frames`) reads them.
"""

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from training.ml.refusals import refusal
from training.ml.tables import MAX_COLUMNS, check_delimiter, check_names

BLOCK_BYTES = 4 << 20
MAX_LINE = 1 << 20  # of a csv's header, in bytes
# As floats, which pandas would make of whole numbers with gaps, long ids become others.
_WITH_GAPS = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}


class Heading(NamedTuple):
    """What a file says of itself before its rows are read; a csv does not know how many it has."""

    kind: str  # csv or parquet
    names: list[str]
    rows: int | None


def heading(source: IO[bytes], filename: str) -> Heading:
    """Of a `.csv` or `.parquet` file at its start; TableError for any other, and for names that cannot be used."""
    kind = Path(filename).suffix.lower().removeprefix(".")
    if kind not in ("csv", "parquet"):
        raise refusal("unsupported_type", f"the file must be .csv or .parquet but got {filename[:80]!r}")
    found = _csv_heading(source) if kind == "csv" else _parquet_heading(source)
    check_names(found.names, MAX_COLUMNS)
    source.seek(0)
    return found


def pieces(
    source: IO[bytes], found: Heading, *, rows: int, columns: list[str], levels: Collection[str] = ()
) -> Iterator[pd.DataFrame]:
    """The columns of the file in frames of `rows` rows, the last one shorter. TableError for what cannot be read,
    naming the row where the file breaks off. Texts of the columns `levels` may come as codes, as parquet has them."""
    is_csv = found.kind == "csv"
    batches = _csv_batches(source, found, columns) if is_csv else _parquet_batches(source, rows, columns, levels)
    read = 0
    try:
        for table in _resized(batches, rows):
            read += table.num_rows
            yield _frame(table)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        message = f"the file cannot be read beyond row {read}: {' '.join(str(problem).split())[:200]}"
        raise refusal("malformed_file", message) from problem


def _frame(table: pa.Table) -> pd.DataFrame:
    """Whole numbers stay whole beside missing ones."""
    gaps = any(column.null_count and pa.types.is_integer(column.type) for column in table.columns)
    mapper = _WITH_GAPS.get if gaps else None
    # No copy is shared with Arrow, which would keep the whole block of a piece alive.
    frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True, types_mapper=mapper)
    return frame


def _csv_heading(source: IO[bytes]) -> Heading:
    line = source.readline(MAX_LINE)
    if not line:
        raise refusal("empty_file", "the file must hold a table but it is empty (0 bytes)")
    try:
        names = [name.strip() for name in next(csv.reader(io.StringIO(line.decode("utf-8-sig")), strict=True), [])]
    except (UnicodeDecodeError, csv.Error) as problem:
        raise refusal("malformed_csv", f"line 1 is not valid csv in UTF-8: {problem!s:.200}") from problem
    check_delimiter(names)
    return Heading("csv", names, None)


def _parquet_heading(source: IO[bytes]) -> Heading:
    try:
        file = pq.ParquetFile(source)
        return Heading("parquet", list(file.schema_arrow.names), file.metadata.num_rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        raise refusal("not_parquet", "the file must be parquet but cannot be read as one") from problem


def _csv_batches(source: IO[bytes], found: Heading, columns: list[str]) -> Iterator[pa.RecordBatch]:
    source.readline(MAX_LINE)  # the header
    try:
        yield from arrow_csv.open_csv(
            source,
            read_options=arrow_csv.ReadOptions(column_names=found.names, block_size=BLOCK_BYTES, use_threads=False),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(found.names, pa.string()),
                include_columns=columns,
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as problem:
        if "Empty CSV" not in str(problem):
            raise


def _parquet_batches(
    source: IO[bytes], rows: int, columns: list[str], levels: Collection[str]
) -> Iterator[pa.RecordBatch]:
    schema = pq.read_schema(source)
    source.seek(0)
    coded = [name for name in levels if schema.field(name).type in (pa.string(), pa.large_string())]
    file = pq.ParquetFile(source, buffer_size=1 << 20, pre_buffer=False, read_dictionary=coded)
    for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
        # What pandas wrote of its own makes an index of some columns, and in a hostile file may be anything.
        yield batch.replace_schema_metadata(None)


def _resized(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    held: list[Any] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(held)
            yield table.slice(0, rows)
            rest = table.slice(rows)
            held, count = rest.to_batches(), rest.num_rows
    if count:
        yield pa.Table.from_batches(held)
