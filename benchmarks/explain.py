"""How long it takes to say why a model answered one claim, for each model type that training makes.

`python -m benchmarks.explain` fits every classifier of training on the same rows (a forest of 100 trees), keeps 100 of
them as background and explains rows one by one, as `predict` with `reasons` does. Processor time is beside wall
time, for a machine that does other things too.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks import _results
from benchmarks._rows import sample
from mlops_site.stats.columns import encode, infer_kinds
from registry.artifacts.background import background_of
from registry.artifacts.engines import SklearnScorer
from registry.artifacts.explainer import Explainer
from registry.artifacts.rows import Columns
from registry.artifacts.signature import infer
from registry.artifacts.summary import explained
from training.ml.estimators import Recipe, names

SEED = 7
ROWS, NUMBERS, CATEGORIES = 20_000, 15, 5
TREES = 100
GOAL_MS = 50  # of processor time, for the forest


class Found(NamedTuple):
    """Of one model type: milliseconds for each row by the wall and by the processor, and what they stand on."""

    name: str
    method: str
    wall_ms: list[float]
    processor_ms: list[float]
    largest_residual: float
    everything_secs: float  # all rows of the background, as at registration
    megabytes: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="to fit on")
    parser.add_argument("--explained", type=int, default=200, help="rows, one by one")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    frame = sample(np.random.default_rng(SEED), asked.rows, numbers=NUMBERS, categories=CATEGORIES)
    found = [measured(name, frame, asked.explained) for name in names("classification")]
    return report(found, load)


def measured(name: str, raw: pd.DataFrame, count: int) -> Found:
    kinds = infer_kinds(raw)
    frame = encode(raw, kinds)
    first = frame.select_dtypes("number").iloc[:, :3].sum(axis=1)
    truth = (first > first.median()).astype(int).to_numpy()
    params: dict[str, Any] = {"n_estimators": TREES} if name == "random_forest" else {}
    model = Recipe(name, "classification", kinds, params, SEED).fit(frame, truth)
    signature = infer(frame, kinds, task_type="classification", target=truth.tolist())
    explainer = Explainer(SklearnScorer(model, signature), Columns.of(background_of(frame), signature), "")
    held = explainer.prepare()
    rows = [Columns.of(frame.iloc[[at]], signature) for at in range(count)]
    explainer.explain(rows[0])
    walls, processors, residuals = zip(*(timed(explainer, row) for row in rows), strict=True)
    started = time.process_time()
    method = explained(explainer, explainer.background)[0].method
    whole = time.process_time() - started
    return Found(name, method, list(walls), list(processors), max(residuals), whole, held / 2**20)


def timed(explainer: Explainer, row: Columns) -> tuple[float, float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    found = explainer.explain(row)
    spent = [1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - processor)]
    return spent[0], spent[1], abs(found.residual)


def report(found: Sequence[Found], load: float) -> int:
    heads = ["", "method", "processor ms, median", "95th percentile", "wall ms, median", "100 rows, s", "MB held"]
    rows = [
        [
            each.name.replace("_", " "),
            each.method,
            f"{median(each.processor_ms):.1f}",
            f"{quantiles(each.processor_ms, n=20)[18]:.1f}",
            f"{median(each.wall_ms):.1f}",
            f"{each.everything_secs:.2f}",
            f"{each.megabytes:.0f}",
        ]
        for each in found
    ]
    forest = next(each for each in found if each.name == "random_forest")
    is_reached = median(forest.processor_ms) < GOAL_MS
    notes = {
        **_results.about("explain"),
        "rows": f"{NUMBERS} numbers and {CATEGORIES} categories, against 100 rows; the forest has {TREES} trees",
        "largest residual": f"{max(each.largest_residual for each in found):.1e} in the output space",
        "load": f"{load:.1f} processes wanted the cores in the minute before",
        "goal": f"a forest of {TREES} trees in less than {GOAL_MS} ms: {'reached' if is_reached else 'missed'}",
    }
    _results.keep(
        "explain", "Why one claim was answered so", [[heads, *rows]], notes, [each._asdict() for each in found]
    )
    return 0 if is_reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
