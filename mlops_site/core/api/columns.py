"""Rows that come in columns: Parquet files and Arrow streams, as the rows of a JSON array would be.

Nothing is made larger than what was sent says: rows, columns and cells are counted before they become objects, texts
stay behind the dictionary that they share, and an Arrow stream must not be packed inside (gzip packs it as a whole).
"""

from __future__ import annotations

import struct
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from rest_framework.parsers import BaseParser

from mlops_site.core.api.bodies import body_of
from mlops_site.core.errors import Malformed, TooLarge
from mlops_site.core.rows import MAX_ROWS, too_many_rows
from mlops_site.stats.parquet import unpacked_bytes

if TYPE_CHECKING:
    import pyarrow as pa

MAX_COLUMNS = 1_100  # fields of a row, and its features one by one
MAX_CELLS = 2_000_000
_NESTED = ("features", "slices")
_COMPRESSION = 3  # field of a RecordBatch (Arrow's Message.fbs)
_HEADER, _RECORDS, _DICTIONARY = 2, 3, 2  # field of a Message; its types


class ColumnsParser(BaseParser):
    what: ClassVar[str]

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        import pyarrow as pa  # half a second and 60 MB, for who sends such bodies

        try:
            return rows_of(self.read(body_of(stream, parser_context)))
        except (pa.ArrowException, OSError, UnicodeDecodeError, struct.error, IndexError) as error:
            raise Malformed(f"the body must be {self.what}: {error}"[:300]) from None

    @abstractmethod
    def read(self, data: bytes) -> pa.Table:
        """The table in the bytes of a body; what is wrong with them is an error that `parse` knows."""


class ParquetParser(ColumnsParser):
    media_type = "application/vnd.apache.parquet"
    what = "a Parquet file"

    def read(self, data: bytes) -> pa.Table:
        import pyarrow as pa
        from pyarrow import parquet

        about = parquet.read_metadata(pa.BufferReader(data))
        check_size(about.num_rows, about.num_columns)
        _check_bytes(unpacked_bytes(data))
        leaves = [about.schema.column(n) for n in range(about.num_columns)]
        if repeated := next((leaf.path for leaf in leaves if leaf.max_repetition_level), ""):
            raise Malformed(
                f"the column {repeated[:80]!r} must hold numbers, texts, truth values or times but holds lists"
            )
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        return parquet.ParquetFile(pa.BufferReader(data), read_dictionary=texts).read(use_threads=False)


class ArrowParser(ColumnsParser):
    media_type = "application/vnd.apache.arrow.stream"
    what = "an Arrow stream"

    def read(self, data: bytes) -> pa.Table:
        import pyarrow as pa

        for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(data)):
            if is_packed(message.metadata.to_pybytes()):
                raise Malformed("an Arrow stream must not be compressed inside; gzip the body instead")
        found = pa.ipc.open_stream(pa.BufferReader(data))
        check_size(0, len(found.schema))
        batches, rows = [], 0
        for batch in found:
            rows += batch.num_rows
            check_size(rows, len(found.schema))
            batches.append(batch)
        table = pa.Table.from_batches(batches, found.schema)
        table.validate(full=True)
        return table


def is_packed(message: bytes) -> bool:
    """Whether the buffers of a record batch, or of a dictionary's, are compressed: by its flatbuffer alone, because
    the reader would unpack them first, whatever they come to."""
    root = _table(message, 0)
    kind, header = _field(message, root, 1), _field(message, root, _HEADER)
    if kind is None or header is None or message[kind] not in (_RECORDS, _DICTIONARY):
        return False
    batch = _table(message, header)
    if message[kind] == _DICTIONARY:
        inner = _field(message, batch, 1)
        if inner is None:
            return False
        batch = _table(message, inner)
    return _field(message, batch, _COMPRESSION) is not None


def _table(data: bytes, at: int) -> int:
    """Where the table is that the offset at `at` leads to."""
    found: int = at + struct.unpack_from("<I", data, at)[0]
    return found


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a field of a table is; None where it is left out."""
    names = table - struct.unpack_from("<i", data, table)[0]
    if names < 0:
        raise IndexError("a table of its header lies outside it")
    place = 4 + 2 * number
    if place >= struct.unpack_from("<H", data, names)[0]:
        return None
    offset = struct.unpack_from("<H", data, names + place)[0]
    return table + offset if offset else None


def check_size(rows: int, columns: int) -> None:
    if rows > MAX_ROWS:
        raise too_many_rows(rows)
    if columns > MAX_COLUMNS:
        raise TooLarge(f"a batch must have at most {MAX_COLUMNS} columns but has {columns}", code="too_many_columns")
    if rows * columns > MAX_CELLS:
        message = f"a batch must be at most {MAX_CELLS:,} cells but has {rows * columns:,}; send it in parts"
        raise TooLarge(message, code="too_many_cells")


def _check_bytes(size: int) -> None:
    limit = int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if size > limit:
        raise TooLarge(f"the body must be at most {limit} bytes unpacked but is {size}; send it in parts")


def rows_of(table: pa.Table) -> list[Any]:
    """The rows as objects; a cell without a value is left out, a feature without one is null. Malformed for two columns
    of one name and for a type that JSON has not. A row with a text that no database stores stands as its error."""
    _check_names(table.column_names)
    plain = {name: column for name, column in _columns(table) if "." not in name}
    nested = {part: _parts(table, part) for part in _NESTED}
    leaves = len(plain) + sum(map(len, nested.values()))
    check_size(table.num_rows, leaves)
    cells = {name: _cells(name, column) for name, column in plain.items()}
    for part, columns in nested.items():
        if columns:
            inner = [_cells(f"{part}.{name}", column) for name, column in columns.items()]
            names = list(columns)
            cells[part] = [dict(zip(names, row, strict=True)) for row in zip(*inner, strict=True)]
            if part == "slices":
                cells[part] = [{name: text for name, text in row.items() if text is not None} for row in cells[part]]
    names = list(cells)
    found = [dict(zip(names, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    return [_judged({name: cell for name, cell in row.items() if cell is not None}) for row in found]


def _check_names(names: list[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise Malformed(f"the column {twice[:80]!r} stands twice")


def _columns(table: pa.Table) -> Iterator[tuple[str, Any]]:
    """The columns that are no struct of features or slices, nor a part of one."""
    for name in table.column_names:
        if name not in _NESTED and not name.startswith(tuple(f"{part}." for part in _NESTED)):
            if "." in name:
                raise Malformed(f"the column {name[:80]!r} is no field; features are named features.NAME")
            yield name, table[name]


def _parts(table: pa.Table, part: str) -> Mapping[str, Any]:
    """Name -> column of features or slices: of a struct, or of columns named after it."""
    import pyarrow as pa

    found = {name.partition(".")[2]: table[name] for name in table.column_names if name.startswith(f"{part}.")}
    if part not in table.column_names:
        return found
    whole = table[part]
    if found or not pa.types.is_struct(whole.type):
        raise Malformed(f"{part} must be a struct, or columns named {part}.NAME, but is {whole.type}"[:300])
    names = [field.name for field in whole.type]
    _check_names([f"{part}.{name}" for name in names])
    check_size(table.num_rows, len(names))
    return dict(zip(names, whole.combine_chunks().flatten(), strict=True)) if names else {}


def _cells(name: str, column: Any) -> list[Any]:
    """As JSON has them: numbers, texts, truth values, times as texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        return [text for chunk in chunks for text in _shared(name, chunk)]
    is_length = types.is_duration(kind) or types.is_interval(kind)
    if types.is_temporal(kind) and not is_length:
        return _times(name, column)
    if types.is_decimal(kind):
        column = pc.cast(column, pa.float64())
    elif not (types.is_primitive(kind) or types.is_null(kind) or _is_text(kind)) or is_length:
        raise Malformed(f"the column {name[:80]!r} must hold numbers, texts, truth values or times but is {kind}"[:300])
    cells: list[Any] = column.to_pylist()
    return cells


def _times(name: str, column: Any) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    try:
        fine = column if not pa.types.is_timestamp(kind) else pc.cast(column, pa.timestamp("us", kind.tz), safe=False)
        return [None if at is None else at.isoformat() for at in fine.to_pylist()]
    except (ValueError, OverflowError, KeyError):  # beyond the calendar or the day; a zone that is none
        raise Malformed(
            f"the column {name[:80]!r} must hold times but has some that are none, as {kind}"[:300]
        ) from None


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _shared(name: str, chunk: Any) -> Iterator[Any]:
    """The cells of a dictionary column: rows with the same text share it."""
    known = _cells(name, chunk.dictionary)
    return (None if place is None else known[place] for place in chunk.indices.to_pylist())


def _judged(row: dict[str, Any]) -> Any:
    texts = [text for part in (row, *(row[part] for part in _NESTED if part in row)) for text in _texts(part)]
    if any("\0" in text for text in texts):
        return Malformed("a text of the row holds a NUL")
    return row


def _texts(cells: Mapping[str, Any]) -> Iterator[str]:
    for name, cell in cells.items():
        yield name
        if isinstance(cell, str):
            yield cell
