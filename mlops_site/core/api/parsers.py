"""JSON as RFC 8259 says and no deeper than sense: NaN, Infinity, duplicate keys and depth bombs are refused."""

from __future__ import annotations

import json
from collections import Counter
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.parsers import BaseParser

from mlops_site.core.errors import Malformed, TooLarge

MAX_DEPTH = 32


def load_json(data: bytes) -> Any:
    """The value of a JSON text. Raises Malformed with the place or the name of what is wrong."""
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
    _check_depth(value)
    return value


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        data = stream.read(limit + 1)
        if len(data) > limit:
            raise TooLarge(f"the body must be at most {limit} bytes but got more")
        return load_json(data)


class LinesParser(BaseParser):
    """A JSON text a line; a line that is none stands as its error, and the others are read."""

    media_type = "application/x-ndjson"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        data = stream.read(limit + 1)
        if len(data) > limit:
            raise TooLarge(f"the body must be at most {limit} bytes but got more")
        return [_line(line) for line in data.splitlines() if line.strip()]


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


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
