"""The headers of pages are read as the library writes them, and a footer that lies is found out."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_site.stats import parquet
from mlops_site.stats.parquet import unpacked_bytes

TABLE = pa.table(
    {
        "n": pa.array(range(5_000)),
        "x": pa.array([None if n % 7 == 0 else n / 3 for n in range(5_000)]),
        "word": pa.array([f"word {n % 50}" for n in range(5_000)]),
        "long": pa.array([f"{n}" * 40 for n in range(5_000)]),
        "nothing": pa.nulls(5_000),
        "true": pa.array([n % 2 == 0 for n in range(5_000)]),
    }
)


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def about(data: bytes) -> pq.FileMetaData:
    return pq.ParquetFile(io.BytesIO(data)).metadata


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_dictionary": False},
        {"data_page_size": 1_000, "row_group_size": 900, "write_page_checksum": True},
        {"write_page_index": True, "write_statistics": True},
    ],
)
def test_pages_come_to_what_an_honest_footer_says(version: str, compression: str, options: dict[str, Any]) -> None:
    data = written(TABLE, data_page_version=version, compression=compression, **options)
    groups = [about(data).row_group(at) for at in range(about(data).num_row_groups)]
    said = sum(group.total_byte_size for group in groups)  # with the headers themselves
    assert 0.5 * said < unpacked_bytes(data) < said


def test_a_table_without_rows_comes_to_nothing() -> None:
    data = written(TABLE.slice(0, 0))
    assert unpacked_bytes(data) == 0


def lying(data: bytes) -> bytes:
    """The file with a footer in which every long column unpacks to a hundred bytes."""
    at = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer, group = data[at:], about(data).row_group(0)
    sizes = {group.total_byte_size, *(group.column(n).total_uncompressed_size for n in range(group.num_columns))}
    for size in sorted(sizes):
        if size > 1_000:
            footer = footer.replace(_varint(size), _varint(100, len(_varint(size))))
    return data[:at] + footer


def _varint(number: int, length: int = 0) -> bytes:
    rest, found = 2 * number, bytearray()
    while rest or len(found) < max(length, 1):
        found.append(rest & 127 | 128)
        rest >>= 7
    found[-1] &= 127
    return bytes(found)


def bomb() -> bytes:
    """A text of 3 MB in a few hundred bytes that do not say so."""
    return lying(written(pa.table({"x": ["x" * 3_000_000]}), compression="zstd"))


def test_a_footer_that_lies_is_found_out() -> None:
    data = bomb()
    assert len(data) < 10_000
    assert about(data).row_group(0).total_byte_size == 100
    assert unpacked_bytes(data) > 3_000_000


def test_pages_that_lie_outside_or_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(TABLE)
    start = about(data).row_group(0).column(0).dictionary_page_offset
    for at, byte in ((start, 0xFF), (start + 1, 0xFF), (start, 0x00)):
        broken = data[:at] + bytes([byte]) * 30 + data[at + 30 :]
        with pytest.raises(IndexError):
            unpacked_bytes(broken)
    with pytest.raises(IndexError):
        unpacked_bytes(data[:100])
    monkeypatch.setattr(parquet, "MAX_PAGES", 5)
    with pytest.raises(IndexError, match="too many"):
        unpacked_bytes(data)
