"""The evidence of an alert as tables: whatever a finding holds can be read without knowing its shape."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlops_site.core.templatetags.steward import figure, interval, words

MAX_ROWS = 50
_FIRST = (
    "name",
    "feature",
    "check",
    "effect",
    "q",
    "q_value",
    "test",
    "statistic",
    "psi",
    "kind",
    "p_value",
)  # a narrow window shows the beginning
_LAST = ("note", "message")  # sentences stand at the end of a row
_FACTS = {
    "overall_score": "Overall drift",
    "severity": "Band of it",
    "drifted": "Drifted features",
    "total": "Features",
}
_NAMES = {
    "q": "q value",
    "q_value": "q value",
    "p_value": "p value",
    "ci95": "95 % interval",
    "psi": "PSI",
    "n": "Rows",
}


class Table(NamedTuple):
    """A list of like things: its name, the columns' names, and rows of (text, is it a number)."""

    name: str
    columns: list[str]
    rows: list[list[tuple[str, bool]]]
    left_out: int


class Evidence(NamedTuple):
    """(name, text) of single values, then the tables."""

    facts: list[tuple[str, str]]
    tables: list[Table]


def evidence_of(said: dict[str, Any]) -> Evidence:
    """
    >>> evidence_of({"drift": {"score": 0.25}, "window": [0.1, 0.2]}).facts
    [('Drift: score', '0.250'), ('Window', '0.100 to 0.200')]
    """
    facts: list[tuple[str, str]] = []
    tables: list[Table] = []
    for name, value in _flat(said):
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            tables.append(table(name, value))
        elif (text := _text(value)) is not None:
            facts.append((name, text))
    return Evidence(facts, tables)


def table(name: str, rows: list[dict[str, Any]]) -> Table:
    """One column for each name that has something to show in any row; the largest effects first, where there are
    effects."""
    rows = sorted(rows, key=lambda row: -_number(row.get("effect")))
    columns = list(dict.fromkeys(column for row in rows for column, value in row.items() if _text(value) is not None))
    columns.sort(key=_place)
    shown = [[_cell(row.get(column)) for column in columns] for row in rows[:MAX_ROWS]]
    return Table(name, [_name(column) for column in columns], shown, max(len(rows) - MAX_ROWS, 0))


def _place(column: str) -> int:
    if column in _FIRST:
        return _FIRST.index(column)
    return len(_FIRST) + (column in _LAST)


def _flat(said: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in said.items():
        name = f"{before}: {_name(key).lower()}" if before else _FACTS.get(key) or _name(key)
        found += _flat(value, name) if isinstance(value, dict) else [(name, value)]
    return found


def _name(key: str) -> str:
    return _NAMES.get(key) or words(key).capitalize()


def _cell(value: Any) -> tuple[str, bool]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _text(value) or "–", is_number or isinstance(value, list)


def _text(value: Any) -> str | None:
    """The value as a page writes it, or None for what is nothing or too much for a cell."""
    if isinstance(value, str | bool | int | float):
        return figure(value) if value != "" else None
    if isinstance(value, list) and len(value) == 2 and all(isinstance(end, int | float) for end in value):
        return interval(value)
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return ", ".join(value[:10]) + (" …" if len(value) > 10 else "")
    return None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
