"""Run by Evidently's Python, not by the site's: answers each line of JSON with a line of JSON.

Rows come as Parquet, numbers as they are and text as categories, which spares Evidently the guessing.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

from benchmarks._memory import measured


def versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("evidently", "pandas", "numpy", "scipy"))


def flagged(reference: str, windows: str, rows: int, checked: int) -> list[list[str]]:
    """Columns that Evidently's default rule flags, of every `rows` rows of `windows`.

    The rule is asked for as the preset does, without the plots that take most of its time; the first
    `checked` windows go through the preset itself, which must flag the same.
    """
    before, all_rows = pd.read_parquet(reference), pd.read_parquet(windows)
    cut = [all_rows.iloc[start : start + rows] for start in range(0, len(all_rows), rows)]
    found = [by_rule(window, before) for window in cut]
    for window, names in zip(cut[:checked], found, strict=False):
        said = by_preset(window, before)
        if said != names:
            raise RuntimeError(f"the preset must flag what the rule does, {names}, but got {said}")
    return found


def by_rule(current: pd.DataFrame, reference: pd.DataFrame) -> list[str]:
    found = []
    for name in reference:
        kind = ColumnType.Numerical if is_number(reference[name]) else ColumnType.Categorical
        sides = [side[name].replace([-np.inf, np.inf], np.nan).dropna() for side in (reference, current)]
        if get_stattest(*sides, kind, None)(*sides, kind, None).drifted:
            found.append(str(name))
    return found


def by_preset(current: pd.DataFrame, reference: pd.DataFrame) -> list[str]:
    """Columns that a report with the preset flags; its count of them must agree."""
    said = Report([DataDriftPreset()]).run(dataset(current), dataset(reference)).dict()
    counted, *columns = said["metrics"]
    found = [each["config"]["column"] for each in columns if each["value"] >= each["config"]["threshold"]]
    if counted["value"]["count"] != len(found):
        raise RuntimeError(f"flagged must be {counted['value']} but got {found}")
    return found


def dataset(frame: pd.DataFrame) -> Any:
    numbers = [name for name in frame if is_number(frame[name])]
    others = [name for name in frame if name not in numbers]
    return Dataset.from_pandas(
        frame, data_definition=DataDefinition(numerical_columns=numbers, categorical_columns=others)
    )


def is_number(column: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column))


def timed(reference: str, current: str) -> dict[str, Any]:
    """The preset on two files once they are read, and once it has run on a thousand rows."""
    frames = pd.read_parquet(current), pd.read_parquet(reference)
    by_preset(*(frame.head(2_000) for frame in frames))
    pa.default_memory_pool().release_unused()
    found, taken = measured(lambda: by_preset(*frames))
    return {"flagged": found, **taken._asdict()}


DO: dict[str, Callable[..., Any]] = {"versions": versions, "flagged": flagged, "timed": timed}


def main() -> None:
    warnings.simplefilter("ignore")
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # what Evidently prints is no answer
        for line in sys.stdin:
            fields = json.loads(line)
            print(json.dumps(DO[fields.pop("do")](**fields)), file=answers, flush=True)


if __name__ == "__main__":
    main()
