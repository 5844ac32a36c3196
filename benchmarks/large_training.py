"""What training on a table takes that is too long for one frame: `python -m benchmarks.large_training` makes one of
1,000,000 rows of 16 numbers and 3 texts, and fits each model type that is fitted in parts to it: three folds, then all
rows but those held out, on a local Dask cluster, in parts without one, and in one frame.

Each way is a process of its own. Memory is of the whole family, as in `benchmarks.large_table`. Parts must give the
same answers with and without a cluster but for rounding, and those of one frame within `NEAR`: scikit-learn's logistic
regression stops some thousandths of a probability before the minimum.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import _results
from benchmarks.large_table import measured
from mlops_site.stats.columns import encode, infer_kinds
from training.ml import estimators, evaluate, splits
from training.ml.executors import Executor, Here, on_dask
from training.ml.parted import Parted
from training.ml.preparation import Preparations
from training.ml.stored import Stored
from training.ml.tables import PARQUET, ROW_GROUP

ROWS, PIECE = 1_000_000, 100_000
PROCESSES, MEMORY_MB = 2, 600
GOAL_MB, NEAR, ROUNDING = 1_500.0, 0.005, 1e-12
CLASSES = (0, 1)
TYPES = ("logistic_regression", "lightgbm")
TARGET = "high_cost"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_training", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--way", choices=WAYS, help="for the script itself: do it this way, and print what came out")
    parser.add_argument("--file", type=Path)
    asked = parser.parse_args()
    if asked.way:
        print(json.dumps(WAYS[asked.way](asked.file)))
        return 0
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        file = Path(folder) / "claims.parquet"
        written(asked.rows, file)
        found = {way: measured(way, file, module="benchmarks.large_training") for way in asked.ways}
    return told(found, asked.rows)


def written(rows: int, file: Path) -> None:
    """Claims of which numbers with gaps, whole numbers and texts tell the outcome in part; in row groups as stored."""
    random = np.random.default_rng(0)
    writer: pq.ParquetWriter | None = None
    for start in range(0, rows, PIECE):
        n = min(PIECE, rows - start)
        columns: dict[str, Any] = {f"amount_{at}": random.gamma(2, 300, n).round(2) for at in range(8)}
        columns |= {f"count_{at}": random.poisson(3 + at, n).astype(float) for at in range(8)}
        columns["plan"] = random.choice(["basic", "plus", "full"], n)
        columns["site"] = np.char.add("s", random.integers(0, 900, n).astype(str))
        columns["code"] = np.char.add("c", random.geometric(0.001, n).astype(str))
        odds = columns["amount_0"] / 500 + columns["count_0"] / 3 - 3 + (columns["plan"] == "full")
        columns[TARGET] = (random.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
        columns["amount_1"] = np.where(random.random(n) < 0.05, np.nan, columns["amount_1"])
        table = pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False).replace_schema_metadata(None)
        writer = writer or pq.ParquetWriter(file, table.schema, **PARQUET)
        writer.write_table(table, row_group_size=ROW_GROUP)
    if writer is not None:
        writer.close()


def in_parts(file: Path, executor: Executor) -> dict[str, Any]:
    stored = Stored(file)
    kinds = infer_kinds(stored.group(0).drop(columns=TARGET))
    rows = Parted(stored, kinds, np.arange(stored.rows), executor)
    return trained(rows, stored.whole([TARGET])[TARGET].to_numpy(), kinds)


def in_one_frame(file: Path) -> dict[str, Any]:
    table = pd.read_parquet(file)
    kinds = infer_kinds(table.drop(columns=TARGET))
    return trained(encode(table, kinds), table[TARGET].to_numpy(), kinds)


def trained(rows: Any, truth: Any, kinds: Any) -> dict[str, Any]:
    """By model type: the metric out of fold and on the holdout, and what is said of some held-out rows."""
    held = np.arange(len(rows)) % 10 == 0
    training, y = rows.iloc[~held], truth[~held]
    few = rows.iloc[np.flatnonzero(held)[:20_000]]
    few = few.read() if isinstance(few, Parted) else few.reset_index(drop=True)
    folds = splits.folds("stratified", y, task_type="classification", n_folds=3, seed=0)
    prepared, found = Preparations(training), {}
    for name in TYPES:
        recipe = estimators.Recipe(name, "classification", kinds, {}, seed=0)
        scores = evaluate.cross_validate(
            recipe, training, y, folds, metric="roc_auc", classes=CLASSES, prepared=prepared
        )
        said = evaluate.predicted(recipe.fit(training, y), few, CLASSES)
        digest = hashlib.sha256(said.tobytes()).hexdigest()
        found[name] = {"folds": list(scores.values), "said": said[:200].tolist(), "digest": digest}
    return found


def on_a_cluster(file: Path) -> dict[str, Any]:
    with on_dask("", processes=PROCESSES, memory_mb=MEMORY_MB) as executor:
        return in_parts(file, executor)


WAYS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "dask": on_a_cluster,
    "in parts, no cluster": lambda file: in_parts(file, Here()),
    "one frame": in_one_frame,
}


def told(found: dict[str, dict[str, Any]], rows: int) -> int:
    parts = [each for way, each in found.items() if way != "one frame"]
    same = max(_gap([each[name]["said"] for each in parts]) for name in TYPES) <= ROUNDING
    gaps = {name: _gap([each[name]["said"] for each in found.values()]) for name in TYPES}
    peak_mb = max(each["peak_mb"] for each in parts)
    good = same and max(gaps.values()) <= NEAR and (peak_mb < GOAL_MB)
    table = [["way", "s", "MB at most", *(f"{name}, mean roc_auc of the folds" for name in TYPES)]]
    for way, each in found.items():
        scores = [f"{np.mean(each[name]['folds']):.6f}" for name in TYPES]
        table.append([way, f"{each['secs']:.0f}", f"{each['peak_mb']:.0f}", *scores])
    notes = {
        **_results.about("large_training"),
        "rows": f"{rows:,} of 20 columns",
        "cluster": f"{PROCESSES} processes of {MEMORY_MB} MB",
        "with a cluster and without": "the same but for rounding" if same else "not the same",
        "largest difference of an answer": ", ".join(f"{name} {gap:.1e}" for name, gap in gaps.items()),
        "goal": f"parts under {GOAL_MB:.0f} MB, answers within {NEAR}: {'met' if good else 'missed'}",
    }
    _results.keep("large_training", "Training on a table that is too long for one frame", [table], notes, found)
    return 0 if good else 1


def _gap(said: list[list[float]]) -> float:
    return float(np.ptp(np.array(said), axis=0).max())


if __name__ == "__main__":
    sys.exit(main())
