"""Reading columns that a strict encoding would refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.cells import read_cells
from mlops_site.stats.columns import Kind


@pytest.mark.parametrize(
    ("kind", "values", "good", "lost", "why"),
    [
        ("number", [1, 2], [1.0, 2.0], 0, ""),
        ("number", [1.0, np.inf, 3.0], [1.0, 3.0], 1, "must be finite but got inf in row 1"),
        ("number", [1, "a", True], [1.0, 1.0], 1, "must be a number but got 'a' in row 1"),
        ("number", [1, 10**400], [1.0], 1, "must fit in a 64-bit float"),
        ("number", [2.0, -1e200], [2.0], 1, "numbers must be within 1e+150"),
        ("number", pd.to_datetime(["2026-01-01"]), [], 1, "must be a number"),
        ("category", ["a", "b"], ["a", "b"], 0, ""),
        ("category", ["a", ["b"], None, 3], ["a", "", "3"], 1, "must hold text or numbers but got ['b'] in row 1"),
        ("category", [], [], 0, ""),
        ("number", [], [], 0, ""),
    ],
)
def test_the_good_cells_are_kept_and_the_others_counted(
    kind: Kind, values: object, good: list[object], lost: int, why: str
) -> None:
    column = pd.Series(values, dtype=object) if isinstance(values, list) and not values else pd.Series(values)
    cells = read_cells("x", column, kind, rows=len(column))
    assert list(cells.values) == good
    assert cells.unreadable == lost
    assert why in cells.why
    assert bool(cells.why) == bool(lost)


def test_missing_stays_missing_beside_a_bad_cell() -> None:
    cells = read_cells("x", pd.Series([None, "?", np.nan, pd.NA]), "number", rows=4)
    assert np.isnan(cells.values).tolist() == [True, True, True]
    assert cells.unreadable == 1


@pytest.mark.parametrize("kind", ["number", "category"])
def test_an_absent_or_repeated_column_is_unreadable_in_every_row(kind: Kind) -> None:
    twice = pd.DataFrame([[1, 2]], columns=["x", "x"])["x"]
    assert read_cells("x", None, kind, rows=7).unreadable == 7
    assert 'column "x" is absent' in read_cells("x", None, kind, rows=7).why
    assert "there more than once" in read_cells("x", twice, kind, rows=1).why
