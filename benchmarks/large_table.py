"""What a csv takes that is too long for one frame: `python -m benchmarks.large_table` makes one of 5,000,000 rows of 16
numbers and 4 texts, checks and profiles it on a local Dask cluster, and does the same in one frame.

Each way is a process of its own. Memory is of the whole family (the process, the cluster's workers and nannies), asked
twenty times a second: resident memory of all summed, in which a page that several share is counted once.
The two must agree: the canonical file, the profile and the checks, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from benchmarks import _results
from training.ml import conversion, large, quality, tables
from training.ml.executors import Executor, Here, on_dask
from training.ml.stored import Stored

ROWS, PIECE = 5_000_000, 250_000
GOAL_MB = 1_500.0
PROCESSES, MEMORY_MB = 2, 600
ROLES: dict[str, Any] = {"target": "high_cost"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_table", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--way", choices=WAYS, help="for the script itself: do it this way, and print what came out")
    parser.add_argument("--file", type=Path)
    asked = parser.parse_args()
    if asked.way:
        print(json.dumps(WAYS[asked.way](asked.file)))
        return 0
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        file = Path(folder) / "claims.csv"
        written(asked.rows, file)
        size_mb = file.stat().st_size / 2**20
        found = {way: measured(way, file) for way in asked.ways}
    return told(found, asked.rows, size_mb)


def written(rows: int, file: Path) -> None:
    """Claims: numbers with gaps, whole numbers, texts of few and of many levels, and a target of two classes."""
    random = np.random.default_rng(0)
    for start in range(0, rows, PIECE):
        n = min(PIECE, rows - start)
        columns: dict[str, Any] = {f"amount_{at}": random.gamma(2, 300, n).round(2) for at in range(8)}
        columns["amount_0"] = np.where(random.random(n) < 0.05, np.nan, columns["amount_0"])
        columns |= {f"count_{at}": random.poisson(3 + at, n) for at in range(7)}
        columns["plan"] = random.choice(["basic", "plus", "full"], n)
        columns["site"] = np.char.add("s", random.integers(0, 900, n).astype(str))
        columns["agreed"] = random.choice(["true", "false"], n)
        columns["code"] = np.char.add("c", random.integers(0, 60_000, n).astype(str))
        columns["high_cost"] = random.integers(0, 2, n)
        frame = pd.DataFrame(columns)
        frame.to_csv(file, mode="a", header=start == 0, index=False)


def measured(way: str, file: Path, *, module: str = "benchmarks.large_table") -> dict[str, Any]:
    """What the way's process printed, with seconds and the most memory that it and its family held at once."""
    started = time.perf_counter()
    command = [sys.executable, "-m", module, "--way", way, "--file", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak_mb = 0.0
        family = psutil.Process(process.pid)
        while process.poll() is None:
            peak_mb = max(peak_mb, _resident_mb(family))
            time.sleep(0.05)
        assert process.stdout is not None
        said = json.loads(process.stdout.read().splitlines()[-1])
    return {**said, "secs": time.perf_counter() - started, "peak_mb": peak_mb}


def _resident_mb(family: psutil.Process) -> float:
    total = 0
    for process in [family, *family.children(recursive=True)]:
        try:
            total += _proportional(process)
        except (psutil.Error, OSError):  # it ended between the two looks
            continue
    return total / 2**20


def _proportional(process: psutil.Process) -> int:
    """Bytes in memory, of a page that n processes share 1/n; where the system does not say, all that are resident."""
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if not rollup.exists():
        return int(process.memory_info().rss)
    found = re.search(r"^Pss:\s+(\d+) kB", rollup.read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def in_parts(file: Path, executor: Executor) -> dict[str, Any]:
    path = file.with_suffix(".parquet")
    with file.open("rb") as source:
        conversion.to_canonical(source, path, executor, max_rows=10**9)
    stored = Stored(path)
    report = large.quality_of(stored, executor, **ROLES)
    profile = large.profile_of(stored, executor, salt="m")
    with path.open("rb") as kept:
        digest = hashlib.file_digest(kept, "sha256").hexdigest()
    return _outcome(digest, report, profile.to_bytes())


def on_a_cluster(file: Path) -> dict[str, Any]:
    with on_dask("", processes=PROCESSES, memory_mb=MEMORY_MB) as executor:
        return in_parts(file, executor)


def in_this_process(file: Path) -> dict[str, Any]:
    return in_parts(file, Here())


def in_one_frame(file: Path) -> dict[str, Any]:
    """The path of short files, without its limits."""
    from mlops_site.stats.columns import infer_kinds
    from mlops_site.stats.profile import profile, reference_bins

    tables.MAX_CELLS = 10**12  # as an operator cannot
    frame = tables.read_table(file, filename=file.name, max_bytes=file.stat().st_size, max_rows=10**9)
    digest = tables.digest_of(tables.to_parquet(frame))
    report = quality.check(frame, **ROLES)
    bins = reference_bins(frame, infer_kinds(frame), salt="m")
    return _outcome(digest, report, profile(frame, bins).to_bytes())


def _outcome(digest: str, report: quality.QualityReport, profile: bytes) -> dict[str, Any]:
    failed = sum(not check.passed for check in report.checks)
    said = json.dumps(report.to_json(), sort_keys=True).encode()
    digests = [digest, hashlib.sha256(said).hexdigest(), hashlib.sha256(profile).hexdigest()]
    return {"file": digests[0], "checks": digests[1], "profile": digests[2], "failed": failed}


WAYS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "dask": on_a_cluster,
    "in parts, no cluster": in_this_process,
    "one frame": in_one_frame,
}


def told(found: dict[str, dict[str, Any]], rows: int, size_mb: float) -> int:
    same = {what: len({each[what] for each in found.values()}) == 1 for what in ("file", "checks", "profile")}
    peak_mb = found["dask"]["peak_mb"]
    good = all(same.values()) and (peak_mb < GOAL_MB or rows < ROWS)
    table = [["way", "s", "MB at most"]]
    table += [[way, f"{each['secs']:.0f}", f"{each['peak_mb']:.0f}"] for way, each in found.items()]
    notes = {
        **_results.about("large_table"),
        "rows": f"{rows:,} of 20 columns, {size_mb:.0f} MB of csv",
        "cluster": f"{PROCESSES} processes of {MEMORY_MB} MB",
        "the same in all": ", ".join(what for what, is_same in same.items() if is_same) or "nothing",
        "goal": f"under {GOAL_MB:.0f} MB on Dask: {'met' if good else 'missed'}",
    }
    _results.keep("large_table", "A csv that is too long for one frame", [table], notes, found)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
