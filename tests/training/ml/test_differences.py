"""What changed between two tables, against what pandas finds with whole tables in memory."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mlops_site.stats.columns import infer_kinds
from mlops_site.stats.profile import profile, reference_bins
from training.ml import differences, tables
from training.ml.differences import WrongKeys, columns_changed, profile_on, rows_changed


def table(frame: pd.DataFrame) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(tables.to_parquet(tables.from_frame(frame))))


def rows(count: int = 500) -> pd.DataFrame:
    random = np.random.default_rng(7)
    plan = pd.Series(random.choice(["free", "family", ""], count)).replace("", None)
    return pd.DataFrame({"id": np.arange(count) + 2**53, "age": random.integers(18, 90, count), "plan": plan})


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "CHUNK_ROWS", 64)


def test_rows_are_told_apart_by_key_whatever_their_order() -> None:
    before = rows()
    after = before.iloc[10:].copy()
    after.loc[20:24, "age"] += 1
    after.loc[24:25, "plan"] = "other"
    after = pd.concat([after, pd.DataFrame({"id": [1], "age": [33], "plan": ["free"]})]).sample(frac=1, random_state=1)
    found = rows_changed(table(before), table(after), ["id"])
    assert (found.before, found.after, found.added, found.removed) == (500, 491, 1, 10)
    assert (found.changed, found.same, found.cells) == (6, 484, {"age": 5, "plan": 2})
    whole = rows_changed(table(before), table(after))
    assert (whole.added, whole.removed, whole.changed, whole.same) == (7, 16, 0, 484)


def test_a_gap_among_whole_numbers_changes_no_other_row() -> None:
    before = rows()
    after = before.astype({"age": float})
    after.loc[3, "age"] = np.nan
    found = rows_changed(table(before), table(after), ["id"])
    assert (found.changed, found.cells) == (1, {"age": 1, "plan": 0})
    assert columns_changed(table(before), table(after)) == ([], [], [])


def test_repeated_rows_are_counted() -> None:
    frame = pd.DataFrame({"a": [1, 1, 1, 2]})
    found = rows_changed(table(frame), table(pd.DataFrame({"a": [1, 2, 2, 3]})))
    assert (found.same, found.added, found.removed) == (2, 2, 2)


def test_cells_that_changed_places_change_the_row() -> None:
    before, after = pd.DataFrame({"a": [1, 3], "b": [2, 4]}), pd.DataFrame({"a": [2, 3], "b": [1, 4]})
    assert rows_changed(table(before), table(after)).same == 1


def test_columns_that_came_went_and_hold_something_else() -> None:
    before = rows()
    after = before.drop(columns="plan").assign(age=before.age.astype(str) + " years", site="a")
    assert columns_changed(table(before), table(after)) == (["site"], ["plan"], [("age", "number", "text")])
    assert rows_changed(table(before), table(after), ["id"]).compared == []


@pytest.mark.parametrize(
    ("keys", "code"),
    [(["nothing"], "unknown_column"), (["age"], "keys_not_unique"), (["id", "plan2"], "unknown_column")],
)
def test_keys_that_tell_no_rows_apart_are_refused(keys: list[str], code: str) -> None:
    with pytest.raises(WrongKeys) as refused:
        rows_changed(table(rows()), table(rows()), keys)
    assert refused.value.code == code


def test_pieces_profile_as_the_whole_does() -> None:
    frame = tables.from_frame(rows())
    bins = reference_bins(frame, infer_kinds(frame), salt="x")
    assert profile_on(table(frame), bins) == profile(frame, bins)
