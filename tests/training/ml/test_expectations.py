"""Documents of expectations: inferred, judged before they are kept, and run on tables."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.ml import documents, expectations, patterns, quality
from training.ml.findings import Check
from training.ml.schemas import infer_schema


def table(rows: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "claim": [f"C{n:05d}" for n in range(rows)],
            "age": random.integers(18, 90, rows).astype(float),
            "site": random.choice(["a", "b"], rows),
            "late": np.arange(rows) % 2,
        }
    )


DOCUMENT: dict[str, Any] = {
    "rows": {"min": 100, "max": 1000, "severity": "block"},
    "duplicates": {"max_share": 0.0, "severity": "block"},
    "extra_columns": {"severity": "warn"},
    "entity": {"column": "claim", "severity": "block"},
    "prediction_time": "late",
    "columns": {
        "claim": {
            "kind": {"is": "category", "severity": "block"},
            "unique": {"severity": "block"},
            "pattern": {"regex": "C[0-9]{5}", "severity": "warn"},
        },
        "age": {
            "kind": {"is": "integer", "severity": "block"},
            "nulls": {"max_share": 0.1, "severity": "warn"},
            "range": {"min": 0, "max": 120, "severity": "block"},
        },
        "site": {"levels": {"allowed": ["a", "b"], "severity": "block"}},
        "late": {"range": {"min": 0, "severity": "warn"}},
    },
}


def failed(frame: pd.DataFrame, **options: Any) -> dict[tuple[str, str | None], Check]:
    found = expectations.check(frame, options.pop("document", DOCUMENT), **options)
    return {(check.name, check.column): check for check in found if not check.passed}


def test_a_table_that_is_as_expected_passes() -> None:
    assert failed(table()) == {}
    assert list(documents.faults(DOCUMENT)) == []


@pytest.mark.parametrize(
    ("column", "rows", "value", "name", "severity", "observed"),
    [
        ("age", [4, 9], 130.0, "schema_range", "block", 2),
        ("age", [4], -1.0, "schema_range", "block", 1),
        ("age", range(30), np.nan, "schema_nulls", "warn", 30),
        ("age", [6], 41.5, "schema_kind", "block", "number"),
        ("site", [1], "z", "schema_levels", "block", 1),
        ("claim", [7], "C00003", "schema_unique", "block", 1),
        ("claim", [7, 8], "x", "schema_pattern", "warn", 2),
        ("claim", [7], "C000070", "schema_pattern", "warn", 1),  # a pattern describes the whole text
    ],
)
def test_each_rule_names_rows_and_what_it_saw(
    column: str, rows: Any, value: Any, name: str, severity: str, observed: Any
) -> None:
    frame = table()
    frame.loc[list(rows), column] = value
    found = failed(frame)
    check = found[name, column]
    assert (check.severity, check.observed) == (severity, observed)
    assert check.where == tuple(row + 1 for row in list(rows)[:5])
    assert check.expected is not None or name == "schema_unique"


def test_a_few_missing_values_are_as_expected() -> None:
    frame = table()
    frame.loc[range(20), "age"] = np.nan
    assert failed(frame) == {}
    frame.loc[20, "age"] = np.nan
    assert set(failed(frame)) == {("schema_nulls", "age")}


def test_the_table_as_a_whole_is_counted() -> None:
    few = failed(table(50))
    assert few["schema_rows", None].observed == 50
    assert "at least 100 and at most 1,000 rows but has 50" in few["schema_rows", None].message
    twice = pd.concat([table(), table().tail(2)], ignore_index=True)
    found = failed(twice)
    assert found["schema_duplicates", None].where == (201, 202)
    assert found["schema_unique", "claim"].observed == 2


def test_missing_and_additional_columns_are_named() -> None:
    found = failed(table().drop(columns="age").assign(new=1))
    assert {key: check.severity for key, check in found.items()} == {
        ("schema_missing", "age"): "block",
        ("schema_extra", "new"): "warn",
    }


def test_values_of_personal_columns_are_not_told() -> None:
    frame = table()
    frame.loc[3, "claim"] = "secret one"
    frame.loc[4, "age"] = 777.0
    frame.loc[5, "site"] = "secret two"
    found = failed(frame, private={"claim", "age", "site"})
    said = json.dumps([check.to_json() for check in found.values()])
    assert len(found) == 3
    assert not [word for word in ("secret", "777", "120") if word in said]
    assert found["schema_range", "age"].samples == ("•••",)
    whole = quality.check(frame.assign(late=1), target="late", private={"late"})
    assert "only •••" in whole.blocks[0].message


def test_what_is_inferred_is_a_document_that_its_table_meets() -> None:
    frame = table()
    frame.loc[5, "age"] = np.nan
    schema = infer_schema(frame, target="late", group_column="claim", time_column="late")
    document = json.loads(json.dumps(expectations.inferred(schema, duplicate_share=0.0), allow_nan=False))
    assert list(documents.faults(document)) == []
    assert failed(frame, document=document) == {}
    assert document["entity"] == {"column": "claim", "severity": "block"}
    assert document["prediction_time"] == "late"
    hidden = expectations.inferred(schema, private={"site", "age"})["columns"]
    assert (hidden["site"].keys(), hidden["age"].keys()) == ({"kind", "nulls"}, {"kind", "nulls"})
    assert document["columns"]["site"]["levels"]["allowed"] == ["a", "b"]


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("rows", 5, "document.rows"),
        ("rows", {"min": -1, "severity": "warn"}, "document.rows.min"),
        ("rows", {"severity": "warn"}, "document.rows"),
        ("rows", {"min": 9, "max": 2, "severity": "warn"}, "document.rows"),
        ("rows", {"min": 9}, "document.rows.severity"),
        ("rows", {"min": 9, "severity": "panic"}, "document.rows.severity"),
        ("duplicates", {"max_share": 2, "severity": "warn"}, "document.duplicates.max_share"),
        ("nonsense", {}, "document.nonsense"),
        ("prediction_time", 3, "document.prediction_time"),
        ("columns", [], "document.columns"),
        ("columns.age", 3, "document.columns.age"),
        ("columns.age.rnage", {}, "document.columns.age.rnage"),
        ("columns.age.kind", {"is": "date", "severity": "warn"}, "document.columns.age.kind.is"),
        ("columns.age.range", {"min": float("nan"), "severity": "warn"}, "document.columns.age.range.min"),
        ("columns.age.range", {"min": True, "severity": "warn"}, "document.columns.age.range.min"),
        ("columns.age.levels", {"allowed": [], "severity": "warn"}, "document.columns.age.levels.allowed"),
        ("columns.age.levels", {"allowed": [[1]], "severity": "warn"}, "document.columns.age.levels.allowed"),
        ("columns.age.pattern", {"regex": "(", "severity": "warn"}, "document.columns.age.pattern.regex"),
        ("columns.age.pattern", {"regex": "(?=x)", "severity": "warn"}, "document.columns.age.pattern.regex"),
        ("columns.age.pattern", {"regex": "a" * 201, "severity": "warn"}, "document.columns.age.pattern.regex"),
        (
            "columns.age.pattern",
            {"regex": "((a{99}){99}){99}", "severity": "warn"},
            "document.columns.age.pattern.regex",
        ),
    ],
)
def test_a_part_at_fault_is_named_by_its_path(path: str, value: Any, field: str) -> None:
    document = deepcopy(DOCUMENT)
    inner: Any = document
    *above, last = path.split(".")
    for part in above:
        inner = inner[part]
    inner[last] = value
    assert [fault.field for fault in documents.faults(document)] == [field]


def test_times_need_a_prediction_time() -> None:
    column = {"available_at": {"column": "b", "severity": "block"}}
    assert [f.field for f in documents.faults({"columns": {"a": column}})] == ["document.prediction_time"]
    assert list(documents.faults({"columns": {"a": column}, "prediction_time": "c"})) == []


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*", "(a|aa)+", "([a-z]+)*", "(.*)*x(.*)*"])
def test_a_pattern_takes_no_longer_than_its_text(pattern: str) -> None:
    column = pd.Series(["a" * 30_000 + "!"] * 20)
    started = time.process_time()
    assert not patterns.matches(column, pattern).any()
    assert time.process_time() - started < 5
