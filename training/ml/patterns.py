"""Patterns for texts that people type: RE2's, by pyarrow, so that none takes longer than linear time."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MAX_PATTERN = 200


def problem(pattern: str) -> str:
    """Why a pattern cannot be used; empty if it can. A repeated pattern of long repetitions would need much memory.

    >>> problem("[A-Z][0-9]+"), problem("(")[:10]
    ('', 'missing ):')
    """
    if not 1 <= len(pattern) <= MAX_PATTERN:
        return f"must have 1 to {MAX_PATTERN} characters but has {len(pattern)}"
    try:
        pc.match_substring_regex(pa.array([""]), pattern=_whole(pattern))
    except (pa.ArrowInvalid, UnicodeEncodeError) as error:
        return str(error).removeprefix("Invalid regular expression: ")[:200]
    return ""


def matches(values: pd.Series[Any], pattern: str) -> pd.Series[bool]:
    """Which texts (n,) the pattern describes as a whole; numbers are matched as they are written, missing is true."""
    text = pa.array([None if value != value or value is None else str(value) for value in values], pa.large_string())
    found = pc.match_substring_regex(text, pattern=_whole(pattern)).fill_null(True)
    return pd.Series(found.to_numpy(zero_copy_only=False), index=values.index, dtype=bool)


def _whole(pattern: str) -> str:
    return rf"\A(?:{pattern})\z"
