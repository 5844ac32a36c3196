"""The data gate: each rule both ways, with the rows at fault, and departures from a schema."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.ml.expectations import inferred
from training.ml.quality import QualityReport, check, infer_schema, infer_task_type


def table(n: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "person": np.arange(n) // 2,
            "seen": pd.Series(pd.date_range("2024-01-01", periods=n).strftime("%Y-%m-%d"), dtype="str"),
            "age": random.normal(50, 10, n),
            "site": pd.Series(random.choice(["a", "b", "c"], n), dtype="str"),
            "late": np.arange(n) % 3 // 2,
        }
    )


def report(frame: pd.DataFrame, **changes: Any) -> QualityReport:
    return check(frame, **{"target": "late", **changes})


def failed(found: QualityReport) -> dict[str, Any]:
    return {each.name: each for each in (*found.blocks, *found.warnings)}


def test_a_sound_table_passes_every_check() -> None:
    frame = table()
    schema = infer_schema(frame, target="late", time_column="seen", group_column="person")
    found = report(frame, time_column="seen", group_column="person", expected=inferred(schema))
    assert failed(found) == {}
    assert found.passed
    assert found.usable_rows == 120
    assert {each.name for each in found.checks} >= {"classes", "duplicate_rows", "time_order", "schema"}
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["passed"] is True


@pytest.mark.parametrize("role", ["target", "time_column", "group_column"])
def test_missing_role_columns_block_and_are_named(role: str) -> None:
    found = report(table(), **{role: "nowhere"})
    assert not found.passed
    assert "'nowhere' is not among person, seen" in found.blocks[0].message
    assert found.blocks[0].column == "nowhere"


def test_missing_targets_warn_with_their_rows_and_block_when_all_are() -> None:
    frame = table().astype({"late": float})
    frame.loc[[3, 7], "late"] = np.nan
    found = report(frame)
    assert found.passed
    assert found.usable_rows == 118
    assert failed(found)["target_missing"].where == (4, 8)
    assert "left out" in failed(found)["target_missing"].message
    blocked = report(frame.assign(late=np.nan))
    assert {each.name for each in blocked.blocks} == {"target_missing", "usable_rows"}


def test_one_class_and_too_many_classes_block() -> None:
    found = report(table().assign(late=1))
    assert "has 1 classes: only 1." in failed(found)["classes"].message
    assert found.blocks[0].name == "classes"
    many = report(table(300).assign(late=np.arange(300)), task_type="classification")
    assert failed(many)["classes"].severity == "block"


def test_regression_needs_numbers_that_vary() -> None:
    constant = report(table().assign(late=2.5), task_type="regression")
    assert failed(constant)["constant_target"].severity == "block"
    text = report(table(), target="site", task_type="regression")
    assert failed(text)["target_kind"].where == (1, 2, 3, 4, 5)


def test_fewer_than_fifty_usable_rows_block() -> None:
    assert "49 rows" in failed(report(table(49)))["usable_rows"].message
    assert report(table(50)).passed


def test_repeated_rows_warn_and_block_past_half() -> None:
    frame = table()
    few = report(pd.concat([frame, frame.head(2)], ignore_index=True))
    assert few.passed
    assert failed(few)["duplicate_rows"].where == (121, 122)
    assert not report(pd.concat([frame] * 3, ignore_index=True)).passed


def test_empty_groups_and_unreadable_times_block() -> None:
    frame = table().astype({"person": float})
    frame.loc[9, "person"] = np.nan
    frame.loc[4, "seen"] = "soon"
    found = failed(report(frame, group_column="person", time_column="seen"))
    assert found["group_missing"].where == (10,)
    assert "row 5 holds 'soon'" in found["time_order"].message


def test_suspicious_features_warn_by_name() -> None:
    frame = table().assign(empty=np.nan, flat="x", claim=[f"c{n}" for n in range(120)])
    frame["again"] = np.where(frame["late"] == 1, "yes", "no")
    found = report(frame)
    assert found.passed
    assert {(each.name, each.column) for each in found.warnings} == {
        ("empty_column", "empty"),
        ("constant_column", "flat"),
        ("many_levels", "claim"),
        ("many_levels", "seen"),
        ("target_copy", "again"),
    }


def test_a_rescaled_target_is_a_copy_and_a_correlated_feature_is_not() -> None:
    frame = table().assign(cost=lambda rows: rows["age"] * 2 + 1, near=lambda rows: rows["age"] + rows["late"])
    found = report(frame, target="cost", task_type="regression")
    assert [each.column for each in found.warnings if each.name == "target_copy"] == ["age"]


def test_departures_from_a_schema_name_rule_column_and_rows() -> None:
    frame = table()
    schema: dict[str, Any] = json.loads(json.dumps(infer_schema(frame, target="late"), allow_nan=False))
    later = frame.drop(columns="seen").assign(new=1.5, person=[f"p{n}" for n in range(120)])
    later.loc[6, "age"] = 999.0
    later.loc[[1, 2], "age"] = np.nan
    later.loc[11, "site"] = "z"
    found = failed(report(later, expected=inferred(schema)))
    assert "Column 'age' must be between" in found["schema_range"].message
    assert "is 999 in 1 of 120 rows" in found["schema_range"].message
    assert found["schema_range"].where == (7,)
    assert found["schema_nulls"].where == (2, 3)
    assert found["schema_levels"].where == (12,)
    assert "3 known levels but is 'z'" in found["schema_levels"].message
    assert found["schema_kind"].where == (1, 2, 3, 4, 5)
    assert {name for name, each in found.items() if each.severity == "block"} == {"schema_missing", "schema_kind"}


def test_schema_describes_each_kind() -> None:
    frame = table().assign(many=[f"v{n}" for n in range(120)])
    frame.loc[0, "age"] = np.nan
    columns = {entry["name"]: entry for entry in infer_schema(frame, target="late")["columns"]}
    assert columns["late"] == {
        "name": "late",
        "kind": "number",
        "integer": True,
        "null_share": 0.0,
        "distinct": 2,
        "min": 0,
        "max": 1,
        "levels": None,
    }
    assert columns["site"]["levels"] == ["a", "b", "c"]
    assert columns["many"]["levels"] is None
    assert columns["age"]["null_share"] == pytest.approx(1 / 120)
    assert columns["age"]["integer"] is False


def test_task_type_follows_the_target() -> None:
    assert infer_task_type(pd.Series(["a", "b", "c"], dtype="str")) == "classification"
    assert infer_task_type(pd.Series([1, 2, 3])) == "regression"
