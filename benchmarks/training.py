"""What a training run costs beside its fits: `python -m benchmarks.training`, on a PostgreSQL of its own.

A run is what a worker starts for it: a process from its first import to the registered version. Beside it plain
scikit-learn and Optuna do the same fits in one process: the same rows and folds, the trials that the run has tried
(queued in a study in memory), a pipeline fitted for each fold, and a refit of the best. Then two workers share the
trials of a run, and two bare processes those of one study in the same PostgreSQL.

Rounds take turns. The clock says what people wait for; seconds of processor are given beside it, because others may
want the cores. A run also does what the bare script does not: it tests the winner on the holdout with intervals,
explains it, converts it for serving and judges it against the version that serves. The log's times tell these apart.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import psycopg2

from benchmarks import _results, _rows
from benchmarks._bare import bare
from tests import servers

if TYPE_CHECKING:
    from training.models import Run, Share

ROWS, TRIALS, FOLDS, ROUNDS = 20_000, 20, 5, 3
TYPES = ("random_forest", "hist_gradient_boosting")
STEPS = {"refit": "refit", "evaluate": "evidence", "convert": "evidence", "record": "record", "gate": "evidence"}
GOAL_ALONE, GOAL_TWO = 1.10, 1.15


class Taken(NamedTuple):
    """By the clock and of processor; and by the clock in each part of a run."""

    secs: float
    cpu_secs: float
    parts: dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--type", choices=TYPES, default=TYPES[0])
    parser.add_argument("--bare", type=Path, help="for the script itself: do the fits of this folder")
    asked = parser.parse_args()
    if asked.bare:
        bare(asked.bare)
        return 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-bench-")))
        set_up(folder, stack)
        begin = scene(asked.rows, asked.type, asked.trials)
        found: list[dict[str, Taken]] = []
        for number in range(asked.rounds):
            alone = begin(2 * number, 1)
            taken = {"run": in_workers(alone)}
            taken["bare"] = in_processes(prepared(alone, folder / f"alone{number}", shared=False), 1)
            pair = begin(2 * number + 1, 2)
            taken["two workers"] = in_workers(pair)
            taken["two bare"] = in_processes(prepared(pair, folder / f"pair{number}", shared=True), 2)
            found.append(taken)
            print({name: each._asdict() for name, each in taken.items()}, flush=True)
    return keep(found, asked)


def set_up(folder: Path, stack: ExitStack) -> None:
    """An empty site of its own."""
    url = stack.enter_context(servers.postgres(durable=True))
    connection = psycopg2.connect(url.rpartition("/")[0] + "/postgres")
    connection.autocommit = True
    connection.cursor().execute("CREATE DATABASE steward")
    connection.close()
    os.environ.pop("REDIS_URL", None)
    keys = {name: f"a {name} that guards nothing but a benchmark" for name in ("SECRET_KEY", "AUDIT_KEY")}
    os.environ |= {"DATABASE_URL": url, "STEWARD_HOME": str(folder), "LOG_LEVEL": "ERROR", **keys}
    os.environ |= {"DJANGO_SETTINGS_MODULE": "mlops_site.settings", "MLFLOW_DISABLE_TELEMETRY": "true"}
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def scene(rows: int, model_type: str, trials: int) -> Any:
    """A model with its data; how to request a run of so many workers."""
    import io

    from mlops_site.core import teams
    from mlops_site.core.permissions import Actor
    from registry.services import create_model
    from training.services import create_dataset_version, request_run

    random = np.random.default_rng(0)
    frame = _rows.sample(random, rows, numbers=14, categories=6)
    frame["target"] = (frame.iloc[:, 0].fillna(0) + random.normal(size=rows) > 1).astype(int)
    author = Actor.of(teams.create_user("author", role="ml_engineer", team="claims")[0])
    model = create_model(actor=author, name="claims", task_type="classification")
    source = io.BytesIO(frame.to_csv(index=False).encode())
    create_dataset_version(actor=author, name="claims", source=source, filename="claims.csv", target="target")
    asked: dict[str, Any] = {"model_types": [model_type], "n_trials": trials, "cv_folds": FOLDS}

    def begin(seed: int, workers: int) -> Run:
        return request_run(actor=author, model_name=model.name, dataset="claims", seed=seed, workers=workers, **asked)

    return begin


def in_workers(run: Run) -> Taken:
    """The run and its shares, each claimed and watched as a worker does it; a pair only until the study is full."""
    from mlops_site.core import jobs
    from training.models import Run

    before, began = processor(), time.time()
    claimed: list[Any] = []
    for job in (run, *run.shares.all()):
        mine = jobs.claim(job, worker="bench")
        assert mine is not None
        claimed.append(mine)
    threads = [threading.Thread(target=watched, args=(job,)) for job in claimed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, ended = processor() - before, Run.objects.get(pk=run.pk)
    assert ended.state == "succeeded", ended.error
    assert ended.finished_at is not None
    parts = parts_of(ended, began)
    is_pair = len(claimed) > 1
    secs = (
        sum(parts[part] for part in ("start", "data", "search")) if is_pair else ended.finished_at.timestamp() - began
    )
    return Taken(secs, took, parts)


def watched(job: Run | Share) -> None:
    from django.db import connections

    from mlops_site.core import child

    try:
        child.watch(job)
    finally:
        connections.close_all()


def parts_of(run: Run, began: float) -> dict[str, float]:
    """Seconds by the clock between the lines of its log."""
    assert run.finished_at is not None
    found = dict.fromkeys(("start", "data", "search", *STEPS.values()), 0.0)
    part, since = "start", began
    for at, text in run.lines.values_list("at", "text"):
        following = "data" if text.startswith("attempt") else "search" if text.startswith("search") else part
        following = STEPS.get(text.split(" ", 1)[0], following)
        if following != part:
            found[part] += at.timestamp() - since
            part, since = following, at.timestamp()
    found[part] += run.finished_at.timestamp() - since
    return found


def prepared(run: Run, folder: Path, *, shared: bool) -> Path:
    """What the bare script needs of the run: rows, folds, and the trials that it tried."""
    import optuna
    from django.conf import settings

    from training.ml.sharing import FINISHED
    from training.ml.studies import open_storage, rdb_url
    from training.models import Share
    from training.pipeline.data import rows_of
    from training.pipeline.selection import study_name

    rows, name = rows_of(Share(run=run)), run.spec["model_types"][0]  # as one who shares it: the run has been judged
    with open_storage(settings.OPTUNA_STORAGE) as storage:
        study = optuna.load_study(study_name=study_name(run, name), storage=storage)
        trials: list[Any] = [
            [trial.params, len(trial.intermediate_values)] for trial in study.get_trials(states=FINISHED)
        ]
        if shared:  # made before: what it takes is no worker's
            other = optuna.create_study(study_name=str(folder), storage=storage, direction="maximize")
            for params, folds in trials:
                other.enqueue_trial(params, user_attrs={"folds": folds})
    folder.mkdir()
    frame: Any = rows.training.frame  # of no large table
    frame.to_parquet(folder / "rows.parquet")
    np.savez(folder / "truth.npz", truth=rows.training.truth)
    place = {"storage": rdb_url(settings.OPTUNA_STORAGE), "study": str(folder)} if shared else {}
    folds = [[part.tolist() for part in fold] for fold in rows.folds]
    said = {"trials": trials, "folds": folds, "type": name, "kinds": rows.kinds, "seed": run.seed, **place}
    (folder / "asked.json").write_text(json.dumps(said))
    return folder


def in_processes(folder: Path, count: int) -> Taken:
    before, began = processor(), time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.training", "--bare", str(folder)]
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(count)]
    assert [process.wait() for process in started] == [0] * count
    return Taken(time.perf_counter() - began, processor() - before, {})


def processor() -> float:
    """What all children that have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def keep(found: list[dict[str, Taken]], asked: argparse.Namespace) -> int:
    def middle(name: str, what: str) -> float:
        return float(statistics.median(getattr(each[name], what) for each in found))

    extra = statistics.median(each["run"].parts["evidence"] for each in found)
    ratios = {
        "a run against bare": middle("run", "secs") / middle("bare", "secs"),
        "the same without its evidence": (middle("run", "secs") - extra) / middle("bare", "secs"),
        "the same of processor": middle("run", "cpu_secs") / middle("bare", "cpu_secs"),
        "two workers against two bare": middle("two workers", "secs") / middle("two bare", "secs"),
    }
    table = [["what", "s", "s of processor"]]
    table += [[name, f"{middle(name, 'secs'):.1f}", f"{middle(name, 'cpu_secs'):.1f}"] for name in found[0]]
    parts = [["part of a run", "s"]]
    parts += [
        [part, f"{statistics.median(each['run'].parts[part] for each in found):.2f}"] for part in found[0]["run"].parts
    ]
    goals = [["ratio", "found"], *([name, f"{ratio:.2f}"] for name, ratio in ratios.items())]
    good = ratios["the same without its evidence"] <= GOAL_ALONE
    good = good and ratios["two workers against two bare"] <= GOAL_TWO
    notes = {
        **_results.about("training"),
        "each run": f"{asked.rows:,} rows of 20 columns, {asked.type}, {asked.trials} trials of {FOLDS} folds",
        "rounds": f"{len(found)}, of which medians are given",
        "goal": f"at most {GOAL_ALONE} and, of two, {GOAL_TWO}: {'met' if good else 'missed'}",
    }
    figures = {"ratios": ratios, "rounds": [{name: each._asdict() for name, each in r.items()} for r in found]}
    _results.keep("training", "What a run costs beside its fits", [goals, table, parts], notes, figures)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
