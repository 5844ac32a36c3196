"""Files that no data set may be made of, and how each refusal names its reason."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.training.claims import claims, csv_of


class BadFile(NamedTuple):
    name: str
    content: bytes
    field: str
    code: str
    filename: str = "hie.csv"


def _csv(**changes: Any) -> bytes:
    return csv_of(claims(120).assign(**changes)).getvalue()


GOOD = _csv()
BAD_FILES = [
    BadFile("empty", b"", "file", "empty_file"),
    BadFile("only a header", GOOD.splitlines(keepends=True)[0], "file", "no_rows"),
    BadFile("ragged", GOOD + b"1,2,3\n", "file", "ragged_row"),
    BadFile("duplicate column", GOOD.replace(b"age", b"plan", 1), "file", "duplicate_column"),
    BadFile("not UTF-8", GOOD + "Zürich".encode("latin-1"), "file", "not_utf8"),
    BadFile("UTF-16", GOOD.decode().encode("utf-16"), "file", "nul_byte"),
    BadFile("all-null target", _csv(high_cost=None), "target", "target_missing"),
    BadFile("single class", _csv(high_cost=1), "target", "classes"),
    BadFile("infinite", _csv(dollars=float("inf")), "file", "not_finite"),
    BadFile("semicolons", GOOD.replace(b",", b";"), "file", "wrong_delimiter"),
    BadFile("too few rows", csv_of(claims(20)).getvalue(), "file", "usable_rows"),
    BadFile("a pickle named csv", b"\x80\x04\x95\x00\x00", "file", "nul_byte"),
    BadFile("not parquet", GOOD, "file", "not_parquet", "hie.parquet"),
    BadFile("unknown ending", GOOD, "file", "unsupported_type", "hie.xlsx"),
    BadFile("path trick", GOOD, "file", "unsupported_type", "../../etc/passwd"),
]
