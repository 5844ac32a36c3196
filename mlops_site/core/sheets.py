"""CSV for spreadsheets: a cell that a spreadsheet would compute is made text; rows are written as they come."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # the wide ones count where the locale is Japanese


def lines(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The table as UTF-8 lines, the head first."""
    for row in _all(head, rows):
        sink = io.StringIO()
        csv.writer(sink).writerow([cell(value) for value in row])
        yield sink.getvalue().encode()


def _all(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    yield head
    yield from rows


def cell(value: Any) -> str:
    """A value as text; numbers stay numbers, whatever their sign, because nobody typed them.

    >>> cell("=1+1"), cell(" @x"), cell(-3), cell(None), cell(True), cell("a-b")
    ("'=1+1", "' @x", '-3', '', 'yes', 'a-b')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = str(value)
    typed = not isinstance(value, int | float)
    risky = text.lstrip().startswith(_FORMULA) or text.startswith(("\t", "\r", "\n"))
    return f"'{text}" if typed and risky else text
