"""CSV that a spreadsheet shows and does not compute."""

import csv
import io
from datetime import UTC, datetime

import pytest

from mlops_site.core import sheets


@pytest.mark.parametrize(
    "typed", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "＝1", "\n=1"]
)
def test_what_a_spreadsheet_would_compute_is_text(typed: str) -> None:
    (row,) = csv.reader(io.StringIO(b"".join(sheets.lines([typed], [])).decode(), newline=""))
    assert row == [f"'{typed}"]


def test_numbers_times_and_gaps_are_what_they_were() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    said = list(sheets.lines(["a", "b"], [(-1.5, None), (at, True), ('x "y", z', "é")]))
    assert said == [b"a,b\r\n", b"-1.5,\r\n", b"2026-01-02T03:04:05Z,yes\r\n", '"x ""y"", z",é\r\n'.encode()]
