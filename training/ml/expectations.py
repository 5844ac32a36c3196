"""What is expected of a table: a JSON document that is inferred from a trusted version, edited, and run by pandera.

    {"rows": {"min": 100, "max": null, "severity": "block"},
     "duplicates": {"max_share": 0.01, "severity": "warn"},
     "extra_columns": {"severity": "warn"},
     "entity": {"column": "person", "severity": "block"},
     "prediction_time": "seen_on",
     "columns": {"age": {"kind": {"is": "number", "severity": "block"},
                         "nulls": {"max_share": 0.05, "severity": "warn"},
                         "range": {"min": 0, "max": 120, "severity": "block"},
                         "levels": {"allowed": ["a", "b"], "severity": "warn"},
                         "unique": {"severity": "block"},
                         "pattern": {"regex": "[A-Z][0-9]+", "severity": "warn"},
                         "available_at": {"column": "measured_on", "severity": "block"}}}}

All parts may be left out. Patterns are those of RE2, which takes linear time whatever the pattern and the text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandas.api import types
from pandera.errors import SchemaErrors

from training.ml.findings import MASK, SHOWN, Check, Severity, plain, rows_where, sampled, written
from training.ml.patterns import matches

KINDS = ("number", "integer", "category")


def inferred(
    schema: dict[str, Any], *, duplicate_share: float | None = None, private: Collection[str] = ()
) -> dict[str, Any]:
    """The expectations that a table of this schema (of `infer_schema`) meets. What a later table cannot do without
    blocks: a column that is gone or of another type; what may rightly change, warns. Of `private` columns no value is
    taken into the document."""
    found: dict[str, Any] = {
        "rows": {"min": max(1, schema["rows"] // 2), "max": None, "severity": "warn"},
        "extra_columns": {"severity": "warn"},
        "columns": {entry["name"]: _column(entry, entry["name"] in private) for entry in schema["columns"]},
    }
    if duplicate_share is not None:
        share = round(max(0.01, 2 * duplicate_share), 4)
        found["duplicates"] = {"max_share": min(1.0, share), "severity": "warn"}
    if schema.get("group_column"):
        found["entity"] = {"column": schema["group_column"], "severity": "block"}
    if schema.get("time_column"):
        found["prediction_time"] = schema["time_column"]
    return found


def _column(entry: dict[str, Any], is_private: bool) -> dict[str, Any]:
    rules: dict[str, Any] = {"kind": {"is": entry["kind"], "severity": "block"}}
    share = entry["null_share"]
    rules["nulls"] = {"max_share": 0.0 if share == 0 else round(min(1.0, share + 0.05), 4), "severity": "warn"}
    if is_private:
        return rules
    if entry["min"] is not None:
        rules["range"] = {"min": entry["min"], "max": entry["max"], "severity": "warn"}
    if entry["levels"] is not None:
        rules["levels"] = {"allowed": entry["levels"], "severity": "warn"}
    return rules


def check(frame: pd.DataFrame, document: dict[str, Any], *, private: Collection[str] = ()) -> list[Check]:
    """Every expectation that the canonical frame (n rows) breaks, with the first rows that do; one passed check where
    it breaks none. Values of `private` columns are not told."""
    columns = document.get("columns", {})
    found = list(_shape(frame, document, private))
    wrong = {each.column for each in found}
    sound = {name: rules for name, rules in columns.items() if name in frame.columns and name not in wrong}
    found += _by_pandera(frame, sound, document, private)
    if found:
        return found
    return [Check("schema", None, "block", True, f"All {len(columns)} columns agree with the schema.")]


def known_at(document: dict[str, Any], names: Collection[str]) -> dict[str, tuple[str, Severity]]:
    """Of these columns, those of which the document says when their value is known: the column with the time, and the
    severity of a value from after the prediction."""
    rules = {name: each["available_at"] for name, each in document.get("columns", {}).items() if "available_at" in each}
    return {name: (rule["column"], rule["severity"]) for name, rule in rules.items() if name in names}


def kind_of(column: pd.Series[Any]) -> str:
    return "number" if types.is_numeric_dtype(column) else "category"


def _is(column: pd.Series[Any], wanted: str) -> bool:
    if wanted != "integer":
        return kind_of(column) == wanted
    known = column.dropna()
    return kind_of(column) == "number" and bool((known == known.round()).all())


def _shape(frame: pd.DataFrame, document: dict[str, Any], private: Collection[str]) -> Iterator[Check]:
    columns = document.get("columns", {})
    for name, rules in columns.items():
        rule = rules.get("kind", {"severity": "block"})
        if name not in frame.columns:
            message = f"Column {name!r} must be in the table but is not."
            yield Check("schema_missing", name, rule["severity"], False, message, observed=None, expected="a column")
        elif "is" in rule and not _is(frame[name], rule["is"]):
            article = "an" if rule["is"] == "integer" else "a"
            got = kind_of(frame[name])
            message = f"Column {name!r} must be {article} {rule['is']} but is a {got}."
            odd = _odd(frame[name], rule["is"])
            samples = sampled(frame[name][odd], name, private)
            yield Check(
                "schema_kind", name, rule["severity"], False, message, rows_where(odd), got, rule["is"], samples
            )
    yield from extras(frame.columns, document)


def extras(names: Iterable[str], document: dict[str, Any]) -> Iterator[Check]:
    """Of these columns of a table, those that the document does not know, where it says what to think of them."""
    columns, extra = document.get("columns", {}), document.get("extra_columns") or {}
    for name in names if extra and columns else ():
        if name not in columns:
            yield Check("schema_extra", str(name), extra["severity"], False, f"Column {name!r} is not in the schema.")


def _odd(column: pd.Series[Any], wanted: str) -> pd.Series[bool]:
    """Rows whose values keep a column from being numbers, or whole ones; none where it is a category that is wanted."""
    numbers = pd.to_numeric(column, errors="coerce")
    if wanted == "category":
        return column.notna() & False
    return column.notna() & (numbers.isna() if kind_of(column) == "category" else numbers != numbers.round())


class _Tally:
    """Checks for pandera that count all failing rows, where pandera keeps the first few."""

    def __init__(self) -> None:
        self.failing: dict[tuple[str | None, str], int] = {}

    def check(self, column: str | None, rule: str, good: Any) -> pa.Check:
        def run(values: Any) -> Any:
            is_good = good(values)
            self.failing[column, rule] = int((~is_good).sum()) if isinstance(is_good, pd.Series) else int(not is_good)
            return is_good

        return pa.Check(run, name=rule, n_failure_cases=SHOWN, ignore_na=rule != "nulls")


def _by_pandera(
    frame: pd.DataFrame, columns: dict[str, Any], document: dict[str, Any], private: Collection[str]
) -> Iterator[Check]:
    tally = _Tally()
    rules = {name: pa.Column(None, _checks(name, each, tally), nullable=True) for name, each in columns.items()}
    schema = pa.DataFrameSchema(rules, checks=list(_table_checks(document, tally)))
    try:
        schema.validate(frame.reset_index(drop=True), lazy=True)
    except SchemaErrors as problem:
        cases = problem.failure_cases
        names = cases["column"].where(cases["schema_context"] == "Column", "")
        for (name, rule), part in cases.groupby([names, "check"], sort=False):
            if name == "":
                yield _of_table(frame, str(rule), document[str(rule)], tally.failing[None, str(rule)])
            else:
                failing = tally.failing[str(name), str(rule)]
                yield _of_column(frame, str(name), str(rule), columns[str(name)][str(rule)], part, failing, private)


def _checks(name: str, rules: dict[str, Any], tally: _Tally) -> list[pa.Check]:
    good: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
        "nulls": lambda rule: lambda values: values.notna() | (values.isna().mean() <= rule["max_share"]),
        "range": lambda rule: lambda values: _within(values, rule.get("min"), rule.get("max")),
        "levels": lambda rule: lambda values: values.isin(rule["allowed"]),
        "unique": lambda rule: lambda values: ~values.duplicated(),
        "pattern": lambda rule: lambda values: matches(values, rule["regex"]),
    }
    return [tally.check(name, rule, make(rules[rule])) for rule, make in good.items() if rule in rules]


def _within(values: pd.Series[Any], low: float | None, high: float | None) -> pd.Series[bool]:
    if not types.is_numeric_dtype(values):
        return values.isna()  # text lies in no range
    is_good: pd.Series[bool] = pd.Series(True, index=values.index)
    if low is not None:
        is_good &= values >= low
    if high is not None:
        is_good &= values <= high
    return is_good


def _table_checks(document: dict[str, Any], tally: _Tally) -> Iterator[pa.Check]:
    if rows := document.get("rows"):
        low, high = rows.get("min"), rows.get("max")
        yield tally.check(None, "rows", lambda frame: (low or 0) <= len(frame) <= (high or float("inf")))
    if rule := document.get("duplicates"):
        yield tally.check(None, "duplicates", lambda frame: bool(frame.duplicated().mean() <= rule["max_share"]))


def _of_table(frame: pd.DataFrame, rule: str, said: dict[str, Any], failing: int) -> Check:
    if rule == "rows":
        bounds = f"at least {said.get('min') or 0:,}" + (f" and at most {said['max']:,}" if said.get("max") else "")
        message = f"The table must have {bounds} rows but has {len(frame):,}."
        expected = {"min": said.get("min"), "max": said.get("max")}
        return Check("schema_rows", None, said["severity"], False, message, observed=len(frame), expected=expected)
    repeated = frame.duplicated()
    share = float(repeated.mean())
    message = f"At most {said['max_share']:.1%} of the rows may repeat an earlier one but {share:.1%} do."
    told: dict[str, Any] = {"observed": round(share, 6), "expected": said["max_share"]}
    return Check("schema_duplicates", None, said["severity"], False, message, rows_where(repeated), **told)


def _of_column(
    frame: pd.DataFrame,
    name: str,
    rule: str,
    said: dict[str, Any],
    part: pd.DataFrame,
    failing: int,
    private: Collection[str],
) -> Check:
    where = tuple(int(at) + 1 for at in part["index"].dropna().head(SHOWN))
    values = [plain(value) for value in frame[name].iloc[[at - 1 for at in where]]]
    shown = MASK if name in private else ", ".join(map(written, list(dict.fromkeys(values))[:3]))
    message = f"Column {name!r} {_told(rule, said, shown)} in {failing:,} of {len(frame):,} rows."
    expected = {key: value for key, value in said.items() if key != "severity"}
    if rule == "levels":
        expected = {"allowed": [str(level) for level in said["allowed"][:SHOWN]], "levels": len(said["allowed"])}
    if name in private and rule in ("levels", "range"):
        expected = {}
    samples = () if rule == "nulls" else sampled(values, name, private)
    return Check(
        f"schema_{rule}", name, said["severity"], False, message, where, failing, expected or None, samples
    )  # fmt: skip


def _told(rule: str, said: dict[str, Any], shown: str) -> str:
    hidden = shown == MASK
    if rule == "nulls":
        share = said["max_share"]
        return "must not be empty but is" if share == 0 else f"must be empty in at most {share:.1%} of the rows but is"
    if rule == "range":
        return f"must {'be in its range' if hidden else _bounds(said)} but is {shown}"
    if rule == "levels":
        return f"must be one of its {len(said['allowed'])} known levels but is {shown}"
    if rule == "unique":
        return f"must not repeat but repeats {shown}"
    return f"must match {said['regex']!r} but is {shown}"


def _bounds(said: dict[str, Any]) -> str:
    low: Any = said.get("min")
    high: Any = said.get("max")
    if low is not None and high is not None:
        return f"be between {written(float(low))} and {written(float(high))}"
    return f"be at least {written(float(low))}" if low is not None else f"be at most {written(float(high))}"
