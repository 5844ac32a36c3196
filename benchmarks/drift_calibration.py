"""How often the drift alarm is wrong, and how often it is right, beside Evidently's default rules.

`python -m benchmarks.drift_calibration` draws windows of 15 features against references of 50,000 rows (ten of
them in turn, so that no single one decides) and counts the windows in which a feature counts as drifted: by the
profiles that production compares, by the exact comparison of frames, and by Evidently in an environment of its own.
The features are independent, which is where false alarms of several features meet least. Production asks in addition
that drift persists in two of three windows; here every window counts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks import _evidently, _results
from benchmarks._rows import sample
from mlops_site.stats.columns import infer_kinds
from mlops_site.stats.compare import Drift, drift, profile_drift
from mlops_site.stats.profile import Profile, profile, reference_bins

SEED = 20_261
REFERENCE_ROWS, REFERENCES = 50_000, 10
SIZES = (100, 200, 500, 1_000, 10_000, 100_000)
POWER_SIZE, SHIFTED, SHIFT_SD = 1_000, "normal_0", 0.3  # that column has mean 0 and standard deviation 1
MOST_FALSE, LEAST_TRUE = 0.05, 0.90
FRAME_DRAWS = 200  # each takes the whole reference anew, while a profile of it is made once
EVIDENTLY_DRAWS, EVIDENTLY_ROWS = 100, 200_000  # per kind of window, whichever is reached first, but ten at least
CHECKED = 1  # of each kind of window go through Evidently's preset itself, at seconds each


class Case(NamedTuple):
    """A kind of window: its rows, and by how much one feature is shifted."""

    rows: int
    shift: float = 0.0


class Task(NamedTuple):
    """Draws of one kind of window against one reference."""

    case: Case
    reference: int
    draws: range


Alarms = list[list[str]]  # drifted features, by draw


class Share(NamedTuple):
    """Windows with an alarm (of the shifted feature, where one is shifted) among those drawn."""

    hits: int
    draws: int

    @property
    def value(self) -> float:
        return self.hits / self.draws

    @property
    def text(self) -> str:
        return f"{self.value:.1%} of {self.draws}" if self.draws else "not drawn"


CASES = (*map(Case, SIZES), Case(POWER_SIZE, SHIFT_SD))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift_calibration", description=__doc__)
    parser.add_argument("--draws", type=int, default=500, help="of each kind of window")
    parser.add_argument("--frame-draws", type=int, default=FRAME_DRAWS, help="of those, also compared as frames")
    parser.add_argument("--evidently-draws", type=int, default=EVIDENTLY_DRAWS, help="fewer of large windows; 0: none")
    asked = parser.parse_args()
    started = time.perf_counter()
    notes = {"Evidently": "not asked"}
    with ThreadPoolExecutor(1) as beside:
        few = min(asked.draws, asked.evidently_draws)
        theirs = beside.submit(measure_evidently, few) if few else None
        shares = measure_ours(asked.draws, asked.frame_draws)
        if theirs:
            found, notes["Evidently"] = theirs.result()
            shares |= found
    return report(shares, notes, time.perf_counter() - started)


def tasks(draws: Iterable[tuple[Case, int]]) -> list[Task]:
    """The draws of every case, dealt to the references in turn."""
    return [
        Task(case, reference, range(reference, count, REFERENCES))
        for case, count in draws
        for reference in range(min(REFERENCES, count))
    ]


def window(case: Case, draw: int) -> pd.DataFrame:
    """The same rows for the same case and draw, anywhere."""
    rng = np.random.default_rng([SEED, 1, CASES.index(case), draw])
    rows = sample(rng, case.rows, numbers=11, categories=4)
    return rows.assign(**{SHIFTED: rows[SHIFTED] + case.shift})


@lru_cache(1)
def reference_frame(number: int) -> pd.DataFrame:
    return sample(np.random.default_rng([SEED, 0, number]), REFERENCE_ROWS, numbers=11, categories=4)


@lru_cache(1)
def reference_profile(number: int) -> Profile:
    """As a version's is made: on the bins of the rows it was trained on."""
    frame = reference_frame(number)
    return profile(frame, reference_bins(frame, infer_kinds(frame), salt="benchmark"))


def measure_ours(draws: int, frame_draws: int) -> dict[tuple[str, Case], Share]:
    found: dict[tuple[str, Case], Alarms] = defaultdict(list)
    todo = tasks((case, draws) for case in CASES)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for task, (by_profile, by_frame) in zip(todo, pool.map(alarms, todo, repeat(frame_draws)), strict=True):
            found["profiles", task.case] += by_profile
            found["frames", task.case] += by_frame
    return {key: share(key[1], said) for key, said in found.items()}


def alarms(task: Task, frame_draws: int) -> tuple[Alarms, Alarms]:
    """By profiles, and by frames as far as they go."""
    frame, summary = reference_frame(task.reference), reference_profile(task.reference)
    by_profile, by_frame = [], []
    for draw in task.draws:
        rows = window(task.case, draw)
        by_profile.append(drifted(profile_drift(profile(rows, summary.bins), summary)))
        if draw < frame_draws:
            by_frame.append(drifted(drift(rows, frame)))
    return by_profile, by_frame


def drifted(found: Drift) -> list[str]:
    return [feature.name for feature in found.features if feature.drifted]


def share(case: Case, said: Alarms) -> Share:
    return Share(sum(SHIFTED in names if case.shift else bool(names) for names in said), len(said))


def measure_evidently(draws: int) -> tuple[dict[tuple[str, Case], Share], str]:
    """The same windows, as far as they go; and the versions that judged them."""
    found: dict[tuple[str, Case], Alarms] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder, _evidently.process() as ask:
        for task in tasks((case, min(draws, max(10, EVIDENTLY_ROWS // case.rows))) for case in CASES):
            reference, windows = Path(folder) / "reference.parquet", Path(folder) / "windows.parquet"
            reference_frame(task.reference).to_parquet(reference)
            pd.concat([window(task.case, draw) for draw in task.draws]).to_parquet(windows, index=False)
            paths = {"reference": str(reference), "windows": str(windows)}
            checked = 0 if task.reference else CHECKED
            found["Evidently", task.case] += ask("flagged", **paths, rows=task.case.rows, checked=checked)
        said = ask("versions")
    return {key: share(key[1], names) for key, names in found.items()}, said


def report(shares: dict[tuple[str, Case], Share], notes: dict[str, str], spent_secs: float) -> int:
    """Write the tables; status 1 when a goal is missed by either of ours."""
    ways = ["profiles", "frames", "Evidently"]
    heads = ["Steward, profiles", "Steward, frames", "Evidently, defaults"]
    tables = []
    for title, cases in (("rows of a window", CASES[:-1]), (f"{SHIFT_SD} SD in one of 15, rows", CASES[-1:])):
        lines = [[f"{case.rows:,}", *(shares.get((way, case), Share(0, 0)).text for way in ways)] for case in cases]
        tables.append([[title, *heads], *lines])
    missed = [f"{way} at {case.rows:,} rows" for (way, case), got in shares.items() if missed_goal(way, case, got)]
    said = f"at most {MOST_FALSE:.0%} of windows and two standard errors, at least {LEAST_TRUE:.0%} with the shift"
    about = {
        **_results.about("drift_calibration"),
        "share": "windows with a drifted feature; under a shift, windows in which the shifted feature is found",
        "reference": f"{REFERENCE_ROWS:,} rows, {REFERENCES} of them in turn; 11 numbers and 4 categories",
        **notes,
        "Evidently's windows": f"the first of ours; {CHECKED} of each kind went through the preset itself",
        "took": f"{spent_secs / 60:.0f} minutes",
        "goal": f"{said}: {'missed by ' + ', '.join(missed) if missed else 'reached'}",
    }
    figures = [
        {"way": way, **case._asdict(), **got._asdict(), "share": round(got.value, 4)}
        for (way, case), got in shares.items()
    ]
    _results.keep("drift_calibration", "False and true drift alarms", tables, about, figures)
    return 1 if missed else 0


def missed_goal(way: str, case: Case, got: Share) -> bool:
    if way == "Evidently":
        return False
    return got.value < LEAST_TRUE if case.shift else got.value > most_false(got.draws)


def most_false(draws: int) -> float:
    """The goal and two standard errors of a share that is right at it."""
    return MOST_FALSE + 2 * float(np.sqrt(MOST_FALSE * (1 - MOST_FALSE) / draws))


if __name__ == "__main__":
    sys.exit(main())
