"""Read a csv or parquet file into one canonical frame, or refuse it with the reason and the place.

A canonical frame has only int64, float64 (NaN = missing) and str columns. Numbers are strict: a column is
numeric when every present cell is one; booleans become 0 and 1; codes with leading zeros and dates stay text.
"""

import csv
import hashlib
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from mlops_site.stats.parquet import unpacked_bytes
from training.ml.cells import from_text, from_typed, unsupported
from training.ml.refusals import Problem, TableError, refusal

MAX_BYTES = 100 * 2**20
MAX_ROWS = 2_000_000
MAX_COLUMNS = 2_000
MAX_CELLS = 50_000_000
MAX_NAME = 128
ROW_GROUP = 100_000
PARQUET: dict[str, Any] = {"compression": "zstd", "version": "2.6", "store_schema": False}  # how canonical files are

__all__ = ["Problem", "TableError", "digest_of", "from_frame", "read_table", "to_parquet"]


def read_table(
    source: BinaryIO | Path,
    *,
    filename: str,
    max_bytes: int = MAX_BYTES,
    max_rows: int = MAX_ROWS,
    max_columns: int = MAX_COLUMNS,
) -> pd.DataFrame:
    """Return the canonical frame of a `.csv` or `.parquet` file.

    Raises:
        TableError: the file is too big, malformed, or holds a value that is not finite.
    """
    kind = Path(filename).suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise refusal("unsupported_type", f"the file must be .csv or .parquet but got {filename!r}")
    data = _bytes_within(source, max_bytes)
    if not data:
        raise refusal("empty_file", "the file must hold a table but it is empty (0 bytes)")
    limits = (max_rows, max_columns)
    table = _read_csv(data, *limits) if kind == ".csv" else _read_parquet(data, *limits, max_bytes)
    return _canonical(table, typed=kind == ".parquet")


def from_frame(frame: pd.DataFrame, *, max_rows: int = MAX_ROWS, max_columns: int = MAX_COLUMNS) -> pd.DataFrame:
    """Return the canonical frame of a pandas frame, under the same rules and messages as a file."""
    check_names([str(name) for name in frame.columns], max_columns)
    _check_size(len(frame), frame.shape[1], max_rows)
    arrays = [_array_of(str(name), frame.iloc[:, at]) for at, name in enumerate(frame.columns)]
    return _canonical(pa.table(arrays, names=[str(name) for name in frame.columns]), typed=True)


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return the same parquet bytes for the same canonical frame: no index, no pandas or Arrow metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=ROW_GROUP, **PARQUET)
    return sink.getvalue()


def digest_of(data: bytes) -> str:
    """Return the sha256 of the bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _bytes_within(source: BinaryIO | Path, max_bytes: int) -> bytes:
    if isinstance(source, Path):
        with source.open("rb") as stream:
            return _bytes_within(stream, max_bytes)
    if source.seekable():
        size = source.seek(0, io.SEEK_END)
        source.seek(0)
        if size > max_bytes:
            raise refusal("too_large", f"the file must be at most {max_bytes:,} bytes but has {size:,}")
    data = source.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise refusal("too_large", f"the file must be at most {max_bytes:,} bytes but has more")
    return data


def _read_csv(data: bytes, max_rows: int, max_columns: int) -> pa.Table:
    text = _decoded(data)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip() for name in next(rows, [])]
        check_delimiter(names)
        check_names(names, max_columns)
        count = _counted(rows, len(names), max_rows)
        _check_size(count, len(names), max_rows)
        return _cells(text, names)
    except (csv.Error, pa.ArrowInvalid) as problem:
        raise refusal("malformed_csv", f"line {rows.line_num} is not valid csv: {problem}") from problem


def _cells(text: str, names: Sequence[str]) -> pa.Table:
    return arrow_csv.read_csv(
        io.BytesIO(text.encode()),
        read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1, block_size=2**26),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )


def _decoded(data: bytes) -> str:
    at = data.find(b"\0")
    if at >= 0:
        raise refusal("nul_byte", f"a csv must not contain NUL bytes but byte {at} is one")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        # The codec counts from after the byte order mark that it swallowed.
        at = problem.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        message = f"the file must be UTF-8 but byte {at} is 0x{data[at]:02x}; save it as UTF-8"
        raise refusal("not_utf8", message) from problem


def check_delimiter(names: Sequence[str]) -> None:
    if len(names) == 1 and (found := re.search(r"[;\t|]", names[0])):
        message = f"columns must be separated by commas but the header uses {found.group()!r}"
        raise refusal("wrong_delimiter", message)


def _counted(rows: Any, width: int, max_rows: int) -> int:
    """Count the data rows of a csv reader; refuse the first row whose width is not the header's."""
    count = 0
    for row in rows:
        if row and len(row) != width:
            message = f"line {rows.line_num} has {len(row)} values but the header names {width} columns"
            raise refusal("ragged_row", message)
        count += bool(row)
        if count > max_rows:
            break
    return count


def check_names(names: Sequence[str], max_columns: int) -> None:
    if len(names) > max_columns:
        message = f"the table must have at most {max_columns:,} columns but has {len(names):,}"
        raise refusal("too_many_columns", message)
    if not names:
        raise refusal("no_columns", "the table must have columns but got none")
    if problems := list(_name_problems(names)):
        raise TableError(*problems)


def _name_problems(names: Sequence[str]) -> Iterator[Problem]:
    for at, name in enumerate(names, start=1):
        if not name.strip():
            yield Problem("unnamed_column", "file", f"column {at} must have a name but its header is empty")
        elif len(name) > MAX_NAME:
            message = f"column {at}'s name must be at most {MAX_NAME} characters but has {len(name)}"
            yield Problem("long_column_name", "file", message)
        elif any(unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") for mark in name):
            message = f"column {at}'s name must be printable but {name!a} contains a control character"
            yield Problem("control_character", "file", message)
    for name, times in Counter(filter(str.strip, names)).items():
        if times > 1:
            message = f"column names must be unique but {name[:MAX_NAME]!r} occurs {times} times"
            yield Problem("duplicate_column", name[:MAX_NAME], message)


def _check_size(rows: int, columns: int, max_rows: int) -> None:
    if rows == 0:
        raise refusal("no_rows", "the table must have data rows but there is only a header")
    if rows > max_rows:
        raise refusal("too_many_rows", f"the table must have at most {max_rows:,} rows but has more")
    if rows * columns > MAX_CELLS:
        message = f"the table must have at most {MAX_CELLS:,} cells but has {rows:,} x {columns:,}"
        raise refusal("too_many_cells", message)


def _read_parquet(data: bytes, max_rows: int, max_columns: int, max_bytes: int) -> pa.Table:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        names = list(file.schema_arrow.names)
        check_names(names, max_columns)
        _check_size(file.metadata.num_rows, len(names), max_rows)
        check_flat(file.schema_arrow)
        _check_bytes(unpacked_bytes(data), max_bytes)
        text = [column.name for column in file.schema_arrow if _is_text(column.type)]
        # A dictionary page can stand for any amount of text, so text is measured before it is spelled out.
        table = pq.read_table(io.BytesIO(data), read_dictionary=text)
    except (pa.ArrowException, OSError, IndexError, UnicodeDecodeError) as problem:
        raise refusal("not_parquet", "the file must be parquet but cannot be read as one") from problem
    _check_bytes(sum(_text_bytes(part) for part in table.columns if pa.types.is_dictionary(part.type)), max_bytes)
    return table


def check_flat(schema: pa.Schema) -> None:
    """Refuse a column of lists or objects before it is read: a row of it may hold any number of values."""
    for column in schema:
        if pa.types.is_nested(column.type):
            raise unsupported(column.name, column.type)


def _check_bytes(size: int, max_bytes: int) -> None:
    if size > 8 * max_bytes:
        raise refusal("too_large", f"the file must be at most {8 * max_bytes:,} bytes unpacked but has {size:,}")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _text_bytes(column: pa.ChunkedArray) -> int:
    if not _is_text(column.type.value_type):
        return 0
    sizes = (pc.sum(pc.take(pc.binary_length(part.dictionary), part.indices)) for part in column.chunks)
    return sum(size.as_py() or 0 for size in sizes)


def _array_of(name: str, values: "pd.Series[Any]") -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError) as problem:
        message = f"column {name!r} must hold values of one type but mixes several"
        raise refusal("mixed_types", message, field=name) from problem


def _canonical(table: pa.Table, *, typed: bool) -> pd.DataFrame:
    settle = from_typed if typed else from_text
    columns = {name: settle(name, table[name]) for name in table.column_names}
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    return frame
