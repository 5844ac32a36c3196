"""Whether a document of expectations (see `expectations`) is one: every part at fault by its path."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from training.ml import patterns
from training.ml.expectations import KINDS

MAX_COLUMNS = 2_000
MAX_LEVELS = 1_000
MAX_NAME = 128
MAX_ROWS = 10**12
SEVERITIES = ("block", "warn")

Judge = Callable[[Any], str]  # what is wrong with a value: "must be X but got Y"; empty if nothing is


class Fault(NamedTuple):
    field: str
    message: str


def faults(document: Any) -> Iterator[Fault]:
    """What is wrong with a document, part by part; nothing if it can be run."""
    if not isinstance(document, Mapping):
        yield Fault("document", f"must be an object but got {document!r:.80}")
        return
    yield from _unknown("document", document, {*_TABLE, "columns", "prediction_time"})
    for name, rule in _TABLE.items():
        if name in document:
            yield from _rule(f"document.{name}", document[name], rule)
    if "prediction_time" in document and (wrong := _name(document["prediction_time"])):
        yield Fault("document.prediction_time", wrong)
    columns = document.get("columns", {})
    if not isinstance(columns, Mapping) or len(columns) > MAX_COLUMNS:
        yield Fault("document.columns", f"must be an object of at most {MAX_COLUMNS:,} columns but got {columns!r:.80}")
        return
    for name, rules in columns.items():
        yield from _column(name, rules)
    timed = any(isinstance(rules, Mapping) and "available_at" in rules for rules in columns.values())
    if timed and not document.get("prediction_time"):
        yield Fault("document.prediction_time", "must name a column, for some columns say when they are known")


def _column(name: Any, rules: Any) -> Iterator[Fault]:
    field = f"document.columns.{name!s:.128}"
    if wrong := _name(name):
        yield Fault(field, wrong)
    if not isinstance(rules, Mapping):
        yield Fault(field, f"must be an object but got {rules!r:.80}")
        return
    yield from _unknown(field, rules, set(_COLUMN))
    for rule, parts in _COLUMN.items():
        if rule in rules:
            yield from _rule(f"{field}.{rule}", rules[rule], parts)


def _rule(field: str, said: Any, parts: dict[str, Judge]) -> Iterator[Fault]:
    if not isinstance(said, Mapping):
        yield Fault(field, f"must be an object but got {said!r:.80}")
        return
    yield from _unknown(field, said, {*parts, "severity"})
    judges = {**parts, "severity": _severity}
    for name, judge in judges.items():
        if name not in said:
            if name not in ("min", "max"):
                yield Fault(f"{field}.{name}", "is needed")
        elif wrong := judge(said[name]):
            yield Fault(f"{field}.{name}", wrong)
    if "min" in parts:
        yield from _range(field, said)


def _range(field: str, said: Mapping[str, Any]) -> Iterator[Fault]:
    low: Any = said.get("min")
    high: Any = said.get("max")
    if low is None and high is None:
        yield Fault(field, "must have min or max but has neither")
    elif _is_number(low) and _is_number(high) and low > high:
        yield Fault(field, f"must have min below max but got {low} and {high}")


def _unknown(field: str, said: Mapping[str, Any], known: set[str]) -> Iterator[Fault]:
    for name in said:
        if name not in known:
            yield Fault(f"{field}.{name!s:.80}", f"is unknown; known: {', '.join(sorted(known))}")


def _severity(value: Any) -> str:
    return "" if value in SEVERITIES else f"must be one of {', '.join(SEVERITIES)} but got {value!r:.80}"


def _name(value: Any) -> str:
    is_name = isinstance(value, str) and 1 <= len(value) <= MAX_NAME and value.isprintable()
    return "" if is_name else f"must be the name of a column but got {value!r:.80}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _bound(value: Any) -> str:
    return "" if value is None or _is_number(value) else f"must be a finite number or null but got {value!r:.80}"


def _count(value: Any) -> str:
    is_count = value is None or (type(value) is int and 0 <= value <= MAX_ROWS)
    return "" if is_count else f"must be a whole number from 0 or null but got {value!r:.80}"


def _share(value: Any) -> str:
    return "" if _is_number(value) and 0 <= value <= 1 else f"must be from 0 to 1 but got {value!r:.80}"


def _kind(value: Any) -> str:
    return "" if value in KINDS else f"must be one of {', '.join(KINDS)} but got {value!r:.80}"


def _levels(value: Any) -> str:
    good = isinstance(value, list) and 1 <= len(value) <= MAX_LEVELS
    if good and all((isinstance(level, str) and len(level) <= 200) or _is_number(level) for level in value):
        return ""
    return f"must be a list of 1 to {MAX_LEVELS:,} texts or numbers but got {value!r:.80}"


def _pattern(value: Any) -> str:
    return patterns.problem(value) if isinstance(value, str) else f"must be a pattern but got {value!r:.80}"


_TABLE: dict[str, dict[str, Judge]] = {
    "rows": {"min": _count, "max": _count},
    "duplicates": {"max_share": _share},
    "extra_columns": {},
    "entity": {"column": _name},
}
_COLUMN: dict[str, dict[str, Judge]] = {
    "kind": {"is": _kind},
    "nulls": {"max_share": _share},
    "range": {"min": _bound, "max": _bound},
    "levels": {"allowed": _levels},
    "unique": {},
    "pattern": {"regex": _pattern},
    "available_at": {"column": _name},
}
