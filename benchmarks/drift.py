"""How long drift takes on a million rows, and how much memory, beside Evidently's preset.

`python -m benchmarks.drift` makes a reference and a window of 15 numbers and 5 categories, one number of which is
shifted, and compares them with `drift()` and with Evidently's DataDriftPreset, each in a process of its own on the same
Parquet files, in turn, so that whatever else the machine does falls on both. Time and memory are those of the
comparison alone: the files are read and both have run on a few rows before. It also times `drift()` with its extra
statistics, the whole report of two frames (drift, extra statistics, triage, quality, and all metrics of a million
labelled answers), and the profiles that production compares instead of rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks import _evidently, _results
from benchmarks._memory import measured
from benchmarks._rows import sample
from mlops_site.stats.columns import infer_kinds
from mlops_site.stats.compare import drift, profile_drift
from mlops_site.stats.metrics import evaluate_rows
from mlops_site.stats.profile import profile, reference_bins
from mlops_site.stats.scored import ScoredRows, scored_rows

SEED = 7
ROWS, NUMBERS, CATEGORIES = 1_000_000, 15, 5
SHIFTED, SHIFT_SD = "normal_0", 0.3
FASTER, REPORT_FASTER = 100, 30  # times as fast as Evidently's preset: drift() alone, and the whole report
LIGHTER = 3  # times less memory beyond the frames

Figures = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="of the window, and of the reference")
    parser.add_argument("--rounds", type=int, default=2, help="of which each asks Evidently once")
    parser.add_argument("--repeats", type=int, default=5, help="of ours in a round, before Evidently and after it")
    parser.add_argument("--timed", type=Path, help="(internal) time ours on the files of this folder")
    asked = parser.parse_args()
    if asked.timed:
        print(json.dumps(timed(asked.timed, asked.repeats)))
        return 0
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        write(Path(folder), asked.rows)
        ours, theirs = [], []
        for _ in range(asked.rounds):
            ours.append(ask_ours(Path(folder), asked.repeats))
            theirs.append(ask_evidently(Path(folder)))
            ours.append(ask_ours(Path(folder), asked.repeats))
    return report(asked.rows, ours, theirs, load)


def write(folder: Path, rows: int) -> None:
    """The reference and the window as Parquet files."""
    for place, name in enumerate(("reference", "current")):
        frame = sample(np.random.default_rng([SEED, place]), rows, numbers=NUMBERS, categories=CATEGORIES)
        frame[SHIFTED] += place * SHIFT_SD
        frame.to_parquet(folder / f"{name}.parquet")


def ask_ours(folder: Path, repeats: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.drift", "--timed", str(folder), "--repeats", str(repeats)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=_evidently.ROOT)
    answer: Figures = json.loads(said.stdout)
    return answer


def ask_evidently(folder: Path) -> Figures:
    with _evidently.process() as ask:
        paths = {name: str(folder / f"{name}.parquet") for name in ("reference", "current")}
        answer: Figures = ask("timed", **paths)
        return answer | {"versions": ask("versions")}


def timed(folder: Path, repeats: int) -> Figures:
    """What each way took, a list of one figure a repeat."""
    current, reference = (pd.read_parquet(folder / f"{name}.parquet") for name in ("current", "reference"))
    kinds = infer_kinds(reference)
    bins = reference_bins(reference, kinds, salt="benchmark")
    summary = profile(reference, bins)
    compared = profile(current, bins)
    whole = report_maker()
    ways = {
        "drift": lambda: drift(current, reference),
        "extra": lambda: drift(current, reference, extra=True),
        "report": lambda: whole(current, reference),
        "bins": lambda: reference_bins(reference, kinds, salt="benchmark"),
        "profile": lambda: profile(current, bins),
        "profile_drift": lambda: profile_drift(compared, summary),
    }
    drift(current.head(2_000), reference.head(2_000))
    whole(current.head(2_000), reference.head(2_000))
    pa.default_memory_pool().release_unused()
    found = {name: [measured(work) for _ in range(repeats)] for name, work in ways.items()}
    for name in ("drift", "extra", "profile_drift"):
        flagged = [feature.name for feature in found[name][0][0].features if feature.drifted]
        if flagged != [SHIFTED]:
            raise RuntimeError(f"{name} must flag {SHIFTED} but got {flagged}")
    return {name: [taken._asdict() for _, taken in runs] for name, runs in found.items()}


def report_maker() -> Callable[[pd.DataFrame, pd.DataFrame], object]:
    """All that a report says of two frames, and the metrics of as many labelled answers."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlops_site.settings")
    os.environ.setdefault("STEWARD_HOME", tempfile.mkdtemp(prefix="steward-bench-"))
    import django

    django.setup()
    from monitoring.analysis import report_of_frames

    # Answers as new each time: nothing of them is sorted already.
    def made(current: pd.DataFrame, reference: pd.DataFrame) -> object:
        return report_of_frames(current, reference), evaluate_rows(replace(answers(len(current))))

    answers(2_000)
    return made


@lru_cache(2)
def answers(rows: int) -> ScoredRows:
    """Scores and truths, made before the clock runs."""
    rng = np.random.default_rng([SEED, 9])
    truth = rng.random(rows) < 0.2
    score = np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 1)
    return scored_rows("classification", truth.astype(int), prediction=(score >= 0.5).astype(int), score=score)


def report(rows: int, ours: list[Figures], theirs: list[Figures], load: float) -> int:
    """Write the tables; status 1 when a goal is missed."""
    if any(each["flagged"] != [SHIFTED] for each in theirs):
        raise RuntimeError(f"Evidently must flag {SHIFTED} but got {[each['flagged'] for each in theirs]}")
    runs = {name: [run for each in ours for run in each[name]] for name in ours[0]} | {"Evidently": theirs}
    middle = {
        name: {key: round(median(run[key] for run in taken), 4) for key in ("wall_secs", "cpu_secs")}
        | {"peak_mb": round(max(run["peak_mb"] for run in taken), 1)}
        for name, taken in runs.items()
    }
    heads = ["", "wall s, median", "processor s", "peak MB beyond the frames", "runs"]
    lines = [
        [
            TITLES[name],
            f"{own['wall_secs']:.3f}",
            f"{own['cpu_secs']:.3f}",
            f"{own['peak_mb']:.0f}",
            str(len(runs[name])),
        ]
        for name, own in middle.items()
    ]
    theirs_took = middle["Evidently"]
    faster, whole = (theirs_took["wall_secs"] / middle[name]["wall_secs"] for name in ("drift", "report"))
    slimmer, thinner = (theirs_took["cpu_secs"] / middle[name]["cpu_secs"] for name in ("drift", "report"))
    lighter = theirs_took["peak_mb"] / max(middle["report"]["peak_mb"], middle["drift"]["peak_mb"], 1.0)
    reached = faster >= FASTER and whole >= REPORT_FASTER and lighter > LIGHTER
    about = {
        **_results.about("drift"),
        "rows": f"{rows:,} and as many of reference, {NUMBERS} numbers and {CATEGORIES} categories",
        "Evidently": theirs[0]["versions"],
        "all runs of drift(), wall s": " ".join(f"{run['wall_secs']:.2f}" for run in runs["drift"]),
        "all runs of Evidently, wall s": " ".join(f"{run['wall_secs']:.1f}" for run in theirs),
        "ratio of drift()": f"{faster:.0f} times as fast; {slimmer:.0f} times less processor time",
        "ratio of the whole report": f"{whole:.0f} times as fast; {thinner:.0f} times less processor time",
        "memory": f"{lighter:.1f} times less beyond the frames than Evidently, for the larger of the two",
        "load": f"{load:.1f} processes wanted the cores in the minute before",
        "goal": f"drift() at least {FASTER} times as fast, the whole report {REPORT_FASTER} times, under a third of "
        f"the memory: {'reached' if reached else 'missed'}",
    }
    _results.keep("drift", "Drift of a million rows", [[heads, *lines]], about, {"medians": middle, "runs": runs})
    return 0 if reached else 1


TITLES = {
    "drift": "Steward, drift() of both frames",
    "extra": "Steward, drift() with the extra statistics",
    "report": "Steward, the whole report of both frames",
    "bins": "Steward, bins of the reference",
    "profile": "Steward, profile of the window",
    "profile_drift": "Steward, profile_drift() of two profiles",
    "Evidently": "Evidently, DataDriftPreset",
}


if __name__ == "__main__":
    sys.exit(main())
