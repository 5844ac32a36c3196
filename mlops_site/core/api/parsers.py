"""JSON as RFC 8259 says and no deeper than sense: NaN, Infinity, duplicate keys and depth bombs are refused.

A body that is plainly good is read without a look at each number and object, in half the time; any other one with it.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from mlops_site.core.api.bodies import body_of
from mlops_site.core.errors import Malformed
from mlops_site.core.rows import MAX_ROWS, too_many_rows

MAX_DEPTH = 32
MAX_PARTS = 500_000  # brackets in texts count too; a batch of 10,000 rows has 30,000 of its own
_UNSURE = object()
# Every digit as 0, every white space as a space, E as e, and no +: so that one search finds each kind of oddity.
_KINDS = bytes.maketrans(b"123456789\t\n\rE", b"000000000   e")
# A space before a colon, which would hide a key from being counted; an exponent that may be beyond a double; so many
# digits that a short exponent makes it so.
_ODD = (b" :", b"e000", b"0" * 200)


def load_json(data: bytes) -> Any:
    """The value of a JSON text. Raises Malformed with the place or the name of what is wrong."""
    if data.count(b"[") + data.count(b"{") > MAX_PARTS:  # a small body, packed, may have millions
        message = f"the body must have at most {MAX_PARTS:,} objects and lists but has more"
        raise Malformed(message, code="too_many_parts")
    value = _plain(data)
    return _careful(data) if value is _UNSURE else value


def _plain(data: bytes) -> Any:
    """The value of a text that holds nothing to look at more closely, else _UNSURE: what is no JSON, too deep, or has
    as many `":` as it has no keys, because one stands twice, or the two characters in a text."""
    if b"\\" in data or (b"N" in data and b"NaN" in data) or (b"I" in data and b"Infinity" in data):
        return _UNSURE
    kinds = data.translate(_KINDS, b"+")
    if any(odd in kinds for odd in _ODD):
        return _UNSURE
    try:
        value = json.loads(data.decode("utf-8"))
        return value if _keys(value) == data.count(b'":') else _UNSURE
    except (ValueError, RecursionError, Malformed):
        return _UNSURE


def _keys(value: Any) -> int:
    """How many keys all objects have together; Malformed where they are nested too deep."""
    level, depth, keys = [value], 0, 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        inner: list[Any] = []
        for outer in level:
            if outer.__class__ is dict:
                keys += len(outer)
                inner += [cell for cell in outer.values() if cell.__class__ is dict or cell.__class__ is list]
            elif outer.__class__ is list:
                inner += [cell for cell in outer if cell.__class__ is dict or cell.__class__ is list]
        level = inner
    return keys


def _careful(data: bytes) -> Any:
    try:
        value = _DECODER.decode(data.decode("utf-8"))
        if b"\\u" in data:  # only an escape can smuggle in what no database stores
            _check_text(value)
    except UnicodeDecodeError as error:
        raise Malformed(f"the body must be UTF-8 but byte {error.start} is not") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise Malformed(f"the body must be JSON: {error}"[:300]) from None
    _keys(value)
    return value


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return load_json(body_of(stream, parser_context))


class LinesParser(BaseParser):
    """A JSON text a line; a line that is none stands as its error, and the others are read. TooLarge beyond the rows
    of a batch, before the rest is looked at: a small body, packed, may have millions of lines."""

    media_type = "application/x-ndjson"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        found: list[Any] = []
        for line in io.BytesIO(body_of(stream, parser_context)):
            if not line.isspace():
                if len(found) == MAX_ROWS:
                    raise too_many_rows("more")
                found.append(_line(line))
        return found


def _line(line: bytes) -> Any:
    try:
        return load_json(line)
    except Malformed as error:
        return error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is beyond what a double holds")
    return value


def _whole(text: str) -> int:
    """A whole number that a double holds: a longer one would be an OverflowError wherever it is used."""
    if len(text) > 300:
        _finite(text)
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return found


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, parse_int=_whole, object_pairs_hook=_unique)


def _check_text(value: Any) -> None:
    """Every name and text: no NUL and no half of a surrogate pair."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError(f"the text {value[:80]!a} holds a NUL or half a surrogate pair")
    elif isinstance(value, dict | list):
        for inner in value:
            _check_text(inner)
        if isinstance(value, dict):
            _check_text(list(value.values()))


def _too_deep() -> Malformed:
    return Malformed(f"the body must not be nested deeper than {MAX_DEPTH}", code="too_deep")
