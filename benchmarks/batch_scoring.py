"""What scoring a file takes: `python -m benchmarks.batch_scoring` scores a million rows of 20 numbers and 10 categories
as a job, and beside it with the bare estimator's `predict_proba` over pieces of the same file, on SQLite in a folder of
its own.

The job is the child process that a worker starts, from its first import to the stored result: reading, checking each
cell, scoring, writing. The bare estimator is loaded and given frames that are read already; only its calls count.
Speed is in seconds of processor, of all threads, because others may want the cores: both on the same rows, one after
the other. Memory is the most that each process held. Logging keeps each answer as a prediction, which is a row of its
own with its indexes, so it is measured by itself. `--add --types hist_gradient_boosting` measures that type alone, and
keeps the rows of the others.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import _results, _rows

NUMBERS, CATEGORIES = 20, 10
ROWS, LOGGED_ROWS, TRAINING_ROWS, PIECE = 1_000_000, 100_000, 20_000, 50_000
TYPES = ("random_forest", "logistic_regression", "hist_gradient_boosting")
GOAL_MB, GOAL_SHARE = 1_000.0, 0.5


class Taken(NamedTuple):
    rows: int
    secs: float
    wall_secs: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Rows a second of processor."""
        return self.rows / self.secs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_scoring", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--types", nargs="+", choices=TYPES, default=list(TYPES))
    parser.add_argument("--add", action="store_true", help="keep what the results have of the other types")
    parser.add_argument("--bare", help="for the script itself: score the file with this model, and print what it took")
    asked = parser.parse_args()
    if asked.bare:
        print(json.dumps(bare(asked.bare)))
        return 0
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        set_up(Path(folder))
        file = written(asked.rows, Path(folder) / "claims.parquet")
        few = written(min(asked.rows, LOGGED_ROWS), Path(folder) / "few.parquet")
        found, before = earlier(asked.types) if asked.add else ({}, "")
        for name in asked.types:  # kept after each: the next may take half an hour
            found[name] = measured(name, file, few, Path(folder))
            status = keep({name: found[name] for name in TYPES if name in found}, before)
    return status


def earlier(types: list[str]) -> tuple[dict[str, dict[str, Taken]], str]:
    """What the results have of other types than these, and how that was measured."""
    kept = json.loads((_results.RESULTS / "batch_scoring.json").read_text())
    others = {name: each for name, each in kept["figures"].items() if name not in types}
    found = {name: {what: Taken(**taken) for what, taken in each.items()} for name, each in others.items()}
    return found, f"{', '.join(others)}: {kept['date']}, {kept['load']}" if others else ""


def set_up(folder: Path) -> None:
    """An empty site of its own."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    large = {"MAX_UPLOAD_MB": "2000", "ARTIFACT_MAX_MB": "2000"}
    os.environ |= {"STEWARD_HOME": str(folder), "DJANGO_SETTINGS_MODULE": "mlops_site.settings", "LOG_LEVEL": "ERROR"}
    os.environ |= large
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def written(rows: int, path: Path) -> Path:
    """A file of claims, piece by piece: nothing here holds it whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random, writer = np.random.default_rng(1), None
    for start in range(0, rows, 100_000):
        frame = _rows.sample(random, min(100_000, rows - start), numbers=NUMBERS, categories=CATEGORIES)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return path


def measured(name: str, file: Path, few: Path, folder: Path) -> dict[str, Taken]:
    """The job, the job that logs (fewer rows), and the bare estimator on the same rows."""
    version, model = served(name, folder)
    return {
        "bare": in_its_own_process(model, file),
        "job": job(version, file, log=False),
        "job that logs": job(version, few, log=True),
    }


def served(name: str, folder: Path) -> tuple[Any, Path]:
    """A version in staging, as training makes one; and its estimator in a file."""
    from mlops_site.core import teams
    from mlops_site.core.permissions import Actor
    from mlops_site.stats.columns import encode, infer_kinds
    from registry import services
    from registry.artifacts import graphs
    from registry.artifacts.formats import dump_skops
    from registry.artifacts.signature import infer
    from tests.registry.parts import candidate
    from training.ml import estimators

    sample = _rows.sample(np.random.default_rng(0), TRAINING_ROWS, numbers=NUMBERS, categories=CATEGORIES)
    kinds = infer_kinds(sample)
    frame = encode(sample, kinds)
    target = (frame.iloc[:, 0] + np.random.default_rng(2).normal(size=len(frame)) > 1).astype(int)
    fitted = estimators.Recipe(name, "classification", kinds, {}, seed=0).fit(frame, target)
    content, graph = dump_skops(fitted), graphs.to_onnx(fitted, kinds).graph
    if graph is not None and not graphs.exact(graph, fitted, frame.head(500)):
        graph = None
    path = folder / f"{name}.skops"
    path.write_bytes(content)
    author = Actor.of(teams.create_user(f"author_of_{name}", role="ml_engineer", team="claims")[0])
    model = services.create_model(actor=author, name=name, task_type="classification")
    signature = infer(frame, kinds, task_type="classification", target=target)
    parts = candidate(artifact_bytes=content, onnx_bytes=graph, signature=signature.to_json())
    version = services.register_version(model, actor=author, candidate=parts)
    services.move_stage(version, actor=author, target_stage="staging", reason="to be measured")
    return version, path


def job(version: Any, file: Path, *, log: bool) -> Taken:
    """As a worker does it, with the child's own memory."""
    from django.conf import settings

    from mlops_site.core import jobs
    from mlops_site.core.permissions import Actor
    from monitoring.models import BatchRun
    from monitoring.services import request_scoring

    with file.open("rb") as source:
        run = request_scoring(
            actor=Actor.of(version.created_by),
            model_name=version.model.name,
            version=version.number,
            file=source,
            filename=file.name,
            log=log,
        )
    claimed = jobs.claim(run, worker="bench")
    assert claimed is not None
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "execute_run", str(run.pk), "--attempt", "1"]
    secs, wall_secs, peak_mb, _ = child(command)
    done = BatchRun.objects.get(pk=run.pk)
    # A few rows have a level so rare that training never saw it.
    assert done.state == "succeeded", done.error
    assert done.rejected < 0.001 * done.rows_done, done.rejections
    return Taken(done.rows_done, secs, wall_secs, peak_mb)


def child(command: list[str]) -> tuple[float, float, float, str]:
    """Seconds of processor and by the clock, most memory in MB, and what it printed."""
    before, began, peak_mb = processor(), time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak_mb = max(peak_mb, highest_mb(process.pid))
        time.sleep(0.02)
    secs = time.perf_counter() - began
    assert process.stdout is not None
    said = process.stdout.read()
    assert process.returncode == 0, said
    return processor() - before, secs, peak_mb, said


def processor() -> float:
    """What all children that have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def highest_mb(pid: int) -> float:
    """The most that a process has held since it began; `ru_maxrss` would count what its parent held."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def in_its_own_process(model: Path, file: Path) -> Taken:
    asked = json.dumps([str(model), str(file)])
    _, _, peak_mb, said = child([sys.executable, "-m", "benchmarks.batch_scoring", "--bare", asked])
    rows, secs, wall_secs = json.loads(said)
    return Taken(rows, secs, wall_secs, peak_mb)


def bare(asked: str) -> tuple[int, float, float]:
    """The estimator alone: `predict_proba` over canonical frames, a piece at a time."""
    import pyarrow.parquet as pq
    import skops.io

    from mlops_site.stats.columns import encode, infer_kinds
    from registry.artifacts.trust import TRUSTED

    model, file = json.loads(asked)
    fitted = skops.io.load(io.BytesIO(Path(model).read_bytes()), trusted=list(TRUSTED))
    rows, secs, wall_secs = 0, 0.0, 0.0
    for batch in pq.ParquetFile(file).iter_batches(batch_size=PIECE):
        given = batch.to_pandas()
        frame = encode(given, infer_kinds(given))
        began, wall_began = time.process_time(), time.perf_counter()
        fitted.predict_proba(frame)
        secs += time.process_time() - began
        wall_secs += time.perf_counter() - wall_began
        rows += len(frame)
    return rows, secs, wall_secs


def keep(found: dict[str, dict[str, Taken]], before: str) -> int:
    shares = {name: each["job"].rate / each["bare"].rate for name, each in found.items()}
    most = max(each["job"].peak_mb for each in found.values())
    is_met = min(shares.values()) >= GOAL_SHARE and most < GOAL_MB
    goal = f"at least {GOAL_SHARE:.0%} of the bare estimator's speed in less than {GOAL_MB:,.0f} MB"
    notes = {
        **_results.about("batch_scoring"),
        "model": f"{NUMBERS} numbers and {CATEGORIES} categories, defaults, trained on {TRAINING_ROWS:,} rows",
        "load": f"{os.getloadavg()[0]:.1f} processes wanted the cores in the last minute",
        **({"measured before": before} if before else {}),
        "goal": f"{goal}, without logging: {'met' if is_met else 'missed'}",
    }
    heads = ["model type", "what", "rows", "processor s", "rows a processor s", "share of bare", "wall s", "peak MB"]
    rows = [
        [
            name, what, f"{t.rows:,}", f"{t.secs:.1f}", f"{t.rate:,.0f}", f"{t.rate / each['bare'].rate:.2f}",
            f"{t.wall_secs:.0f}", f"{t.peak_mb:.0f}",
        ]
        for name, each in found.items()
        for what, t in each.items()
    ]  # fmt: skip
    figures = {name: {what: t._asdict() for what, t in each.items()} for name, each in found.items()}
    _results.keep("batch_scoring", "Scoring a file", [[heads, *rows]], notes, figures)
    return 0 if is_met else 1


if __name__ == "__main__":
    raise SystemExit(main())
