"""JSON as RFC 8259 says and no deeper than sense: NaN, Infinity, duplicate keys and depth bombs are refused."""

from __future__ import annotations

import json
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from mlops_site.core.errors import Malformed

MAX_DEPTH = 32


def load_json(data: bytes) -> Any:
    """The value of a JSON text. Raises Malformed with the place or the name of what is wrong."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise Malformed(f"the body must be UTF-8 but byte {error.start} is not") from None
    except RecursionError:
        raise Malformed(f"the body must not be nested deeper than {MAX_DEPTH}", code="too_deep") from None
    except ValueError as error:
        raise Malformed(f"the body must be JSON: {error}"[:300]) from None
    _check_depth(value)
    return value


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return load_json(stream.read())


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is beyond what a double holds")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return found


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise Malformed(f"the body must not be nested deeper than {MAX_DEPTH}", code="too_deep")
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
