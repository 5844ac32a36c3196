"""Gzipped bodies, and rows in columns: what they hold, and what is refused of them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.test import RequestFactory
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request

from mlops_site.core.api.bodies import body_of
from mlops_site.core.api.columns import ArrowParser, ParquetParser
from mlops_site.core.errors import Malformed, TooLarge
from tests.stats.test_parquet import bomb


def context(encoding: str = "gzip") -> dict[str, Any]:
    return {"request": Request(RequestFactory().post("/", headers={"Content-Encoding": encoding}))}


def read(data: bytes, encoding: str = "gzip") -> bytes:
    return body_of(io.BytesIO(data), context(encoding))


def test_gzip_is_unpacked_with_all_its_members() -> None:
    assert read(gzip.compress(b"[1, ") + gzip.compress(b"2]"), " GZIP") == b"[1, 2]"
    assert read(b"plain", "") == read(b"plain", "identity") == b"plain"
    assert body_of(io.BytesIO(b"plain"), None) == b"plain"


def test_a_bomb_is_refused_before_it_is_large(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
    bomb = gzip.compress(bytes(500_000_000), compresslevel=1)[:600_000]
    for data in (bomb, gzip.compress(bytes(1_000_001)), gzip.compress(bytes(600_000)) * 2):
        with pytest.raises(TooLarge, match="at most 1000000 bytes unpacked"):
            read(data)
    assert len(read(gzip.compress(bytes(1_000_000)))) == 1_000_000


BROKEN = {
    "empty": b"",
    "one letter": b"x",
    "not packed": b"[1]",
    "cut": gzip.compress(b"[1]")[:-9],
    "more behind it": gzip.compress(b"[1]") + b"x",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)  # gzip holds the time: the bytes are no name
def test_broken_gzip(data: bytes) -> None:
    if not data:
        assert read(data) == b""
        return
    with pytest.raises(Malformed, match="gzip"):
        read(data)


def test_another_encoding() -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Encoding must be gzip"):
        read(b"x", "br")


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=3)
    return bytes(sink.getvalue())


def of_parquet(data: bytes) -> Any:
    return ParquetParser().parse(io.BytesIO(data))


def of_arrow(data: bytes) -> Any:
    return ArrowParser().parse(io.BytesIO(data))


WAYS = pytest.mark.parametrize(("write", "parse"), [(parquet, of_parquet), (stream, of_arrow)])
Write = Callable[..., bytes]
Parse = Callable[[bytes], Any]


@WAYS
def test_the_rows_are_those_of_json(write: Write, parse: Parse) -> None:
    said: list[dict[str, Any]] = [
        {"request_id": f"r{n}", "score": n / 7, "features": {"age": n, "sex": "m" if n % 2 else None, "ok": n > 2}}
        for n in range(8)
    ]
    assert parse(write(pa.Table.from_pylist(said))) == said
    flat = [{"request_id": r["request_id"], **{f"features.{k}": v for k, v in r["features"].items()}} for r in said]
    table = pa.Table.from_pylist(flat)
    at = table.column_names.index("features.sex")
    shared = table.set_column(at, "features.sex", table["features.sex"].dictionary_encode())
    assert parse(write(shared)) == [{k: r[k] for k in ("request_id", "features")} for r in said]


@WAYS
def test_times_decimals_and_nothing(write: Write, parse: Parse) -> None:
    at = pa.array([1_700_000_000_000_000_000], pa.timestamp("ns", "UTC"))
    table = pa.table({"predicted_at": at, "features.cost": [Decimal("1.25")], "features.no": pa.nulls(1)})
    wanted = {"predicted_at": "2023-11-14T22:13:20+00:00", "features": {"cost": 1.25, "no": None}}
    assert parse(write(table)) == [wanted]
    assert parse(write(table.slice(0, 0))) == []
    slices = pa.table({"slices.site": ["6", None], "features": [{"a": 1.0}, None]})
    assert parse(write(slices)) == [
        {"slices": {"site": "6"}, "features": {"a": 1.0}},
        {"slices": {}, "features": {"a": None}},
    ]


@WAYS
def test_a_text_with_a_nul_is_its_rows_error(write: Write, parse: Parse) -> None:
    good, bad = parse(write(pa.table({"features.x": ["a", "a\0"]})))
    assert good == {"features": {"x": "a"}}
    assert isinstance(bad, Malformed)


@WAYS
@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (pa.table({"x": pa.nulls(10_001)}), TooLarge, "at most 10000 rows"),
        (pa.table({f"features.f{n}": [1] for n in range(1_101)}), TooLarge, "at most 1100 columns"),
        (pa.table({f"features.f{n}": pa.nulls(10_000) for n in range(201)}), TooLarge, "at most 2,000,000 cells"),
        (pa.table({"features.x": [[1, 2]]}), Malformed, "must hold numbers"),
        (pa.table({"features.x": [b"\xff"]}), Malformed, "must hold numbers"),
        (pa.table({"features.x": [{"a": 1}]}), Malformed, "must hold numbers"),
        (pa.table({"at": pa.array([0], pa.timestamp("us", "Mars/Phobos"))}), Malformed, "must hold times"),
        (pa.table({"at": pa.array([10**12], pa.timestamp("s"))}), Malformed, "must hold times"),
        (pa.table({"at": pa.array([2**60], pa.time64("us"))}), Malformed, "must hold times|is not within"),
        (pa.table({"features": [1]}), Malformed, "features must be a struct"),
        (pa.table({"features": [{"a": 1}], "features.a": [1]}), Malformed, "features must be a struct"),
        (pa.table({"other.x": [1]}), Malformed, "is no field"),
    ],
)
def test_what_is_refused_as_a_whole(
    write: Write, parse: Parse, table: pa.Table, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        parse(write(table))


def test_two_columns_of_one_name() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(Malformed, match="stands twice"):
        of_arrow(stream(twice))


TABLE = pa.table({"request_id": [f"r{n}" for n in range(9)], "features.age": [1.5] * 9})


@pytest.mark.parametrize("data", [b"", b"PAR1", b"x" * 1000, parquet(TABLE)[:-20], parquet(TABLE)[30:], stream(TABLE)])
def test_what_is_no_parquet(data: bytes) -> None:
    with pytest.raises(Malformed, match="must be a Parquet file"):
        of_parquet(data)


@pytest.mark.parametrize(
    "data", [b"", b"x" * 1000, b"\xff" * 64, parquet(TABLE), stream(TABLE)[40:], stream(TABLE)[:-60]]
)
def test_what_is_no_arrow(data: bytes) -> None:
    with pytest.raises(Malformed, match="must be an Arrow stream"):
        of_arrow(data)


def test_any_cut_and_any_changed_byte_is_refused_or_read() -> None:
    """Nothing but a refusal comes of it."""
    for data, parse in ((stream(TABLE), of_arrow), (parquet(TABLE), of_parquet)):
        for at in range(0, len(data), 7):
            for sent in (data[:at], data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]):
                try:
                    parse(sent)
                except (Malformed, TooLarge):
                    continue


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_stream_that_is_packed_inside_is_refused_unread(compression: str) -> None:
    for table in (TABLE, TABLE.set_column(0, "request_id", TABLE["request_id"].dictionary_encode())):
        with pytest.raises(Malformed, match="gzip the body instead"):
            of_arrow(stream(table, compression=compression))


def test_a_text_that_ten_thousand_rows_share_is_one_text() -> None:
    text = "x" * 1_000_000
    data = parquet(pa.table({"features.x": pa.DictionaryArray.from_arrays(pa.array([0] * 10_000), [text])}))
    assert len(data) < 100_000
    rows = of_parquet(data)
    assert len({id(row["features"]["x"]) for row in rows}) == 1


def test_a_parquet_file_says_how_large_it_gets(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
    with pytest.raises(TooLarge, match="at most 100000 bytes unpacked"):
        of_parquet(
            parquet(pa.table({"x": [1.5] * 9_000, "y": [2.5] * 9_000}), use_dictionary=False, compression="zstd")
        )


def test_lists_are_refused_before_they_are_read() -> None:
    """In Parquet, a few hundred bytes stand for any number of equal values."""
    values = pa.array([0]).take(pa.array([0] * 1_000_000))
    bomb = parquet(pa.table({"features.x": pa.ListArray.from_arrays(pa.array([0, 1_000_000], pa.int32()), values)}))
    assert len(bomb) < 10_000
    before = pa.total_allocated_bytes()
    with pytest.raises(Malformed, match="holds lists"):
        of_parquet(bomb)
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_a_footer_that_lies_is_found_out(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
    with pytest.raises(TooLarge, match="at most 1000000 bytes unpacked"):
        of_parquet(bomb())


def test_a_length_of_time_is_no_time() -> None:
    table = pa.table({"predicted_at": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})
    with pytest.raises(Malformed, match="must hold numbers"):
        of_arrow(stream(table))
