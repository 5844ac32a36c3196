"""Reading tables: every kind of bad file, with the place of the fault, and bytes that do not vary."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.stats.test_parquet import bomb
from training.ml.pieces import heading
from training.ml.tables import TableError, digest_of, from_frame, read_table, to_parquet


def read(data: bytes, filename: str = "claims.csv", **limits: Any) -> pd.DataFrame:
    return read_table(io.BytesIO(data), filename=filename, **limits)


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


BAD = {
    "empty": (b"", "empty_file", "file", "0 bytes"),
    "byte order mark only": (b"\xef\xbb\xbf", "no_columns", "file", "got none"),
    "blank lines only": (b"\n\n", "no_columns", "file", "got none"),
    "header only": (b"a,b\n", "no_rows", "file", "only a header"),
    "short row": (b"a,b\n1,2\n3\n", "ragged_row", "file", "line 3 has 1 values but the header names 2"),
    "long row": (b'a,b\n"1\n1",2\n3,4,5\n', "ragged_row", "file", "line 4 has 3 values"),
    "duplicate": (b"a,b,a\n1,2,3\n", "duplicate_column", "a", "'a' occurs 2 times"),
    "spaced duplicate": (b"a, a\n1,2\n", "duplicate_column", "a", "occurs 2 times"),
    "latin-1": (b"a,b\n1,caf\xe9\n", "not_utf8", "file", "byte 9 is 0xe9"),
    "latin-1 after a mark": (b"\xef\xbb\xbfa\n\xe9\n", "not_utf8", "file", "byte 5 is 0xe9"),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), "nul_byte", "file", "NUL"),
    "unnamed": (b"a,,c\n1,2,3\n", "unnamed_column", "file", "column 2"),
    "control": (b"a,b\x1b[31m\n1,2\n", "control_character", "file", "column 2's name"),
    "bidirectional": ("a,b\u202e\n1,2\n".encode(), "control_character", "file", "column 2's name"),
    "long name": (b"a," + b"x" * 129 + b"\n1,2\n", "long_column_name", "file", "129"),
    "nul": (b"a,b\n1,\x00\n", "nul_byte", "file", "byte 6"),
    "semicolons": (b"a;b\n1;2\n", "wrong_delimiter", "file", "';'"),
    "open quote": (b'a,b\n1,"2\n', "malformed_csv", "file", "line 2"),
    "overflow": (b"a,b\n1,2\n3,1e400\n", "not_finite", "b", "row 2 holds 1e400"),
    "infinite": (b"a,b\n-inf,2\n3,4\n", "not_finite", "a", "row 1 holds -inf"),
    "infinity": (b"a,b\n1,2\n3,Infinity\n", "not_finite", "b", "row 2 holds Infinity"),
}


@pytest.mark.parametrize(("data", "code", "field", "part"), BAD.values(), ids=BAD)
def test_bad_csv_is_refused_with_its_place(data: bytes, code: str, field: str, part: str) -> None:
    with pytest.raises(TableError) as caught:
        read(data)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert part in caught.value.message


def test_every_bad_name_is_reported_at_once() -> None:
    with pytest.raises(TableError) as caught:
        read(b"a,,a,b\x07\n1,2,3,4\n")
    codes = [problem.code for problem in caught.value.problems]
    assert codes == ["unnamed_column", "control_character", "duplicate_column"]
    assert str(caught.value).count(";") == 2


class Sized(io.BytesIO):
    """A stream that says it is huge and fails if anybody reads it."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return 200 * 2**20 if whence == io.SEEK_END else 0

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("must not be read")


def test_200_megabytes_are_refused_before_reading() -> None:
    with pytest.raises(TableError, match="at most 104,857,600 bytes but has 209,715,200"):
        read_table(Sized(), filename="big.csv")


def test_a_big_file_on_disk_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    with path.open("wb") as stream:
        stream.truncate(200 * 2**20)
    with pytest.raises(TableError) as caught:
        read_table(path, filename=path.name)
    assert caught.value.code == "too_large"


def test_limits_on_rows_columns_and_type() -> None:
    data = b"a,b,c\n" + b"1,2,3\n" * 5
    limits: list[tuple[dict[str, Any], str]] = [
        ({"max_rows": 4}, "too_many_rows"),
        ({"max_columns": 2}, "too_many_columns"),
    ]
    for limit, code in limits:
        with pytest.raises(TableError) as caught:
            read(data, **limit)
        assert caught.value.code == code
    assert read(data, max_rows=5, max_columns=3).shape == (5, 3)
    with pytest.raises(TableError, match=r"must be \.csv or .parquet but got 'model.pkl'"):
        read(data, "model.pkl")


def test_values_are_settled_strictly() -> None:
    frame = read(
        b"whole, gap ,code,truth,day,text,sci\n"
        b" 1,,00123,true,2020-01-01,None,1e3\n"
        b"+2,4,4,FALSE,2020-01-02,NA,-.5\n"
        b"3,NA,5,,2020-01-03,1_000,5.\n"
    )
    assert frame.dtypes.astype(str).to_dict() == {
        "whole": "int64",
        "gap": "float64",
        "code": "str",
        "truth": "float64",
        "day": "str",
        "text": "str",
        "sci": "float64",
    }
    assert frame["whole"].tolist() == [1, 2, 3]
    assert frame["code"].tolist() == ["00123", "4", "5"]
    assert frame["text"].tolist() == ["None", "NA", "1_000"]
    assert frame["sci"].tolist() == [1000.0, -0.5, 5.0]
    assert frame["truth"].tolist()[:2] == [1.0, 0.0]
    assert frame["gap"].isna().tolist() == [True, False, True]


def test_long_integers_keep_every_digit() -> None:
    frame = read(b"id,big\n9007199254740993,12345678901234567890\n2,1\n")
    assert frame["id"].tolist() == [9007199254740993, 2]
    assert frame["big"].tolist() == ["12345678901234567890", "1"]


def test_quotes_crlf_and_blank_lines_are_read() -> None:
    frame = read(b'\xef\xbb\xbfa,b\r\n"x, ""y""\nz",1\r\n\r\n,2\r\n')
    assert frame["a"].iloc[0] == 'x, "y"\nz'
    assert frame["a"].isna().tolist() == [False, True]


def test_csv_parquet_and_frame_agree_to_the_byte() -> None:
    frame = read(b"n,x,t\n1,,a\n2,3.5,\n")
    data = to_parquet(frame)
    again = read(data, "claims.parquet")
    pd.testing.assert_frame_equal(frame, again)
    assert to_parquet(again) == data == to_parquet(from_frame(frame))
    assert digest_of(data) == digest_of(to_parquet(frame.set_axis([7, 8]).rename_axis("i")))
    assert b"pandas" not in data
    assert to_parquet(frame.assign(n=[2, 2])) != data


def test_parquet_types_become_the_canonical_three() -> None:
    frame = read(
        parquet(
            flag=[True, False],
            small=pa.array([1, 2], pa.int8()),
            gap=pa.array([1, None], pa.int32()),
            level=pa.array(["a", ""]).dictionary_encode(),
            at=pa.array([0, 1], pa.timestamp("s")),
            none=pa.nulls(2),
        ),
        "x.parquet",
    )
    assert frame.dtypes.astype(str).tolist() == ["int64", "int64", "float64", "str", "str", "float64"]
    assert frame["at"].tolist() == ["1970-01-01 00:00:00.000", "1970-01-01 00:00:01.000"]
    assert frame["level"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PAR1 but not really PAR1", "not_parquet"),
        (b"a,b\n1,2\n", "not_parquet"),
        (parquet(a=[1.0])[:-20], "not_parquet"),
        (parquet(a=pa.array([], pa.int64())), "no_rows"),
        (parquet(a=[[1], [2]]), "unsupported_type"),
        (parquet(a=[b"x"]), "unsupported_type"),
        (parquet(a=[1.0, float("inf")]), "not_finite"),
        (parquet(a=pa.array([2**64 - 1], pa.uint64())), "out_of_range"),
        (parquet(**{"a\n": [1]}), "control_character"),
    ],
)
def test_bad_parquet_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(TableError) as caught:
        read(data, "x.parquet")
    assert caught.value.code == code


def test_small_parquet_that_stands_for_much_is_refused() -> None:
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5_000, dtype=np.int32)), pa.array(["x" * 10_000]))
    for column in (text, text.cast(pa.string()), text.cast(pa.large_string())):
        data = parquet(a=column)
        assert len(data) < 100_000
        with pytest.raises(TableError, match="at most 8,000,000 bytes unpacked"):
            read(data, "x.parquet", max_bytes=1_000_000)
    many = parquet(**{f"c{n}": np.zeros(600_000, dtype=np.int8) for n in range(100)})
    with pytest.raises(TableError, match="600,000 x 100"):
        read(many, "x.parquet")


def test_a_frame_is_refused_with_the_message_of_the_file() -> None:
    pairs: list[tuple[bytes, pd.DataFrame]] = [
        (b"a,b\n", pd.DataFrame({"a": [], "b": []})),
        (b"a,a\n1,2\n", pd.DataFrame([[1, 2]], columns=["a", "a"])),
        (b"a,b\n1,2\n3,inf\n", pd.DataFrame({"a": [1, 3], "b": [2, np.inf]})),
    ]
    for data, frame in pairs:
        with pytest.raises(TableError) as from_file:
            read(data)
        with pytest.raises(TableError) as from_memory:
            from_frame(frame)
        assert from_file.value.problems == from_memory.value.problems
    with pytest.raises(TableError) as mixed:
        from_frame(pd.DataFrame({"a": [1, "x"]}, dtype=object))
    assert (mixed.value.code, mixed.value.field) == ("mixed_types", "a")


def parquet_of(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def test_lists_and_long_texts_are_refused_before_they_are_read() -> None:
    """In Parquet, a few hundred bytes stand for any number of equal values."""
    values = pa.array([0]).take(pa.array([0] * 1_000_000))
    lists = parquet_of(x=pa.ListArray.from_arrays(pa.array([0, 1_000_000], pa.int32()), values))
    before = pa.total_allocated_bytes()
    with pytest.raises(TableError, match="column 'x' must hold numbers, text, booleans or times but holds list"):
        read(lists, "a.parquet")
    texts = parquet_of(x=["x" * 5_000_000])
    assert len(lists) + len(texts) < 10_000
    with pytest.raises(TableError, match="at most 80,000 bytes unpacked") as caught:
        read(texts, "a.parquet", max_bytes=10_000)
    assert caught.value.code == "too_large"
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_a_footer_that_lies_is_found_out() -> None:
    with pytest.raises(TableError, match="at most 80,000 bytes unpacked"):
        read(bomb(), "a.parquet", max_bytes=10_000)
    with pytest.raises(TableError, match="must be parquet") as caught:
        read(bomb().replace(b"\x15", b"\xff", 1), "a.parquet")
    assert caught.value.code == "not_parquet"


def test_a_name_that_is_no_text() -> None:
    broken = parquet_of(name=[1]).replace(b"name", b"\xffame")
    for look in (lambda: read(broken, "a.parquet"), lambda: heading(io.BytesIO(broken), "a.parquet")):
        with pytest.raises(TableError, match="must be parquet"):
            look()


def test_a_time_zone_that_is_none_is_named() -> None:
    with pytest.raises(TableError, match="column 'at' must hold times") as caught:
        read(parquet_of(at=pa.array([0], pa.timestamp("us", "Mars/Phobos"))), "a.parquet")
    assert caught.value.code == "unsupported_type"
