"""Runs under faults on a whole site with its default leases: `python -m tests.training.drill [--runs 10]`.

A PostgreSQL, a Redis, Beat, a worker of the queue default and two of the queue cpu, all its own. Every second run is
spread over both workers. While the runs go on, one after the other, twenty SIGKILLs hit what works on them (a worker's
whole process group or a child), Redis is emptied five times and PostgreSQL taken away three times for seconds. It says
a line for each fault and run, and ends with 1 where a run did not complete once, with exactly its trials, or stood
still for more than a minute.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import django
import psutil
import psycopg2
import redis as redis_client

from tests import servers
from tests.processes import ROOT, Process, exit_on_sigterm, start_process

if TYPE_CHECKING:
    from training.models import Run

FAULTS = {"kill": 20, "flush": 5, "restart": 3}  # over ten runs
TYPES = ("logistic_regression", "random_forest")
N_TRIALS = 6
LONGEST_SECS = 60.0
TOOK_SECS = 12.0  # about how long a run takes that nothing happens to


class Site(NamedTuple):
    """What can be broken: workers by name and how to start them, the broker, the database."""

    workers: dict[str, Process]
    start: Callable[[str], Process]
    broker: str
    database: servers.Database


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.training.drill", description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    exit_on_sigterm()
    with ExitStack() as stack:
        site = _site(stack)
        return _drill(site, asked.runs, random.Random(asked.seed))


def _site(stack: ExitStack) -> Site:
    database = stack.enter_context(servers.restartable_postgres(durable=True))
    broker = stack.enter_context(servers.redis())
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-drill-")))
    os.environ |= {
        "STEWARD_HOME": str(home),
        "DATABASE_URL": database.url,
        "REDIS_URL": broker,
        "SECRET_KEY": secrets.token_hex(32),
        "AUDIT_KEY": secrets.token_hex(32),
        "DJANGO_SETTINGS_MODULE": "mlops_site.settings",
        "WORKERS_BY_QUEUE": "1",
        "CPU_CONCURRENCY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
        "LOG_LEVEL": "INFO",
    }
    connection = psycopg2.connect(database.url.rpartition("/")[0] + "/postgres")
    connection.autocommit = True
    connection.cursor().execute("CREATE DATABASE steward")
    connection.close()
    subprocess.run([sys.executable, ROOT / "manage.py", "migrate", "--verbosity", "0"], check=True)
    started: list[Process] = []
    stack.callback(lambda: _stop_all(started))

    def start(name: str) -> Process:
        log = home / f"{name}-{time.monotonic_ns()}.log"
        program = name.partition("@")[0]
        ready = (lambda: " ready." in log.read_text()) if program != "beat" else log.exists
        started.append(start_process([ROOT / "deploy/start", program], log=log, ready=ready))
        return started[-1]

    start("beat")
    start("worker")
    return Site({name: start(name) for name in ("worker-cpu@a", "worker-cpu@b")}, start, broker, database)


def _stop_all(started: list[Process]) -> None:
    for process in started:
        process.stop()


def _drill(site: Site, runs: int, chance: random.Random) -> int:
    django.setup()
    begin = _scene()
    total = {fault: round(times * runs / 10) for fault, times in FAULTS.items()}
    plan: list[list[str]] = [[] for _ in range(runs)]
    for fault, times in total.items():  # spread evenly, so that no run meets all of them
        for at, number in enumerate(range(times)):
            plan[(at if fault != "restart" else 3 * number + 1) % runs].append(fault)
    problems: list[str] = []
    longest = 0.0
    for number, faults in enumerate(plan):
        run = begin(number)
        chance.shuffle(faults)
        for fault in faults:
            _some_moment(run, chance)
            still = _hit(site, run, fault, chance)
            longest = max(longest, still)
        problems += _wrong_with(run, number)
    _say(f"{runs} runs, {total}: longest stand-still {longest:.1f} s, {len(problems)} problems")
    for problem in problems:
        _say(problem)
    return 1 if problems or longest > LONGEST_SECS else 0


def _scene() -> Callable[[int], Run]:
    """A model with a data set; how to begin a run of it."""
    from mlops_site.core.choices import Role
    from registry.services import create_model
    from tests.people import actor
    from tests.training.claims import claims, csv_of
    from training.services import create_dataset_version, request_run
    from training.tasks import ring

    engineer, scientist = actor("enno", Role.ML_ENGINEER), actor("dana", Role.DATA_SCIENTIST)
    model = create_model(actor=engineer, name="high_cost_claim", task_type="classification")
    source = csv_of(claims(6_000))
    create_dataset_version(actor=scientist, name="hie", source=source, filename="hie.csv", target="high_cost")

    def begin(seed: int) -> Run:
        asked: dict[str, Any] = {
            "model_types": list(TYPES),
            "n_trials": N_TRIALS,
            "cv_folds": 3,
            "workers": 1 + seed % 2,
        }
        run = request_run(actor=scientist, model_name=model.name, dataset="hie", seed=seed, **asked)
        ring(run)
        return run

    return begin


def _asked(question: Callable[[], Any]) -> Any:
    """The answer of a database that may be away for a while."""
    from django.db import Error, close_old_connections

    while True:
        close_old_connections()
        try:
            return question()
        except Error:
            time.sleep(0.2)


def _row(run: Run) -> Any:
    names = ("state", "attempt", "progress", "trials_done", "step", "error")
    return _asked(lambda: type(run).objects.values_list(*names).get(pk=run.pk))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _some_moment(run: Run, chance: random.Random) -> None:
    deadline = time.monotonic() + chance.uniform(0, TOOK_SECS)
    while time.monotonic() < deadline and _row(run)[0] in ("queued", "running"):
        time.sleep(0.1)


def _hit(site: Site, run: Run, fault: str, chance: random.Random) -> float:
    """Do it, and wait for the run's next sign of life; seconds until then, without those that the database was away."""
    before = _row(run)
    what = {"kill": _kill, "flush": _flush, "restart": _restart}[fault](site, run, chance)
    began = time.monotonic()
    while (now := _row(run)) == before and now[0] in ("queued", "running"):
        if time.monotonic() - began > 3 * LONGEST_SECS:
            break
        time.sleep(0.1)
    took = time.monotonic() - began
    _say(f"  {what} at {before[0]} {before[2]:.2f} of attempt {before[1]}: goes on after {took:.1f} s")
    return took


def _kill(site: Site, run: Run, chance: random.Random) -> str:
    if chance.random() < 0.5 and (children := list(_children(run))):
        chance.choice(children).kill()
        return "child killed"
    holder = _asked(lambda: type(run).objects.values_list("worker", flat=True).get(pk=run.pk))
    pid = int(holder.rpartition(":")[2] or 0)
    name = next((name for name, worker in site.workers.items() if _is_of(pid, worker)), "worker-cpu@a")
    site.workers[name].kill()
    time.sleep(chance.uniform(0, 2))
    site.workers[name] = site.start(name)
    return f"{name} killed"


def _is_of(pid: int, worker: Process) -> bool:
    return pid == worker.pid or (psutil.pid_exists(pid) and psutil.Process(pid).ppid() == worker.pid)


def _children(run: Run) -> Iterator[psutil.Process]:
    """What executes the run or one of its shares."""
    ids = {str(run.pk), *map(str, _asked(lambda: list(run.shares.values_list("pk", flat=True))))}
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "execute_run" in words and ids & set(words) and process.status() != psutil.STATUS_ZOMBIE:
            yield process


def _flush(site: Site, run: Run, chance: random.Random) -> str:
    client = redis_client.Redis.from_url(site.broker)
    client.flushall()
    client.close()
    return "Redis emptied"


def _restart(site: Site, run: Run, chance: random.Random) -> str:
    down_secs = chance.uniform(0, 5)
    site.database.restart(down_secs)
    return f"PostgreSQL away for {down_secs:.1f} s"


def _wrong_with(run: Run, number: int) -> list[str]:
    """What the end of the run should not be; waits for it."""
    import optuna
    from django.conf import settings

    from mlops_site.core.models import AuditRecord
    from registry.models import Version
    from training.ml.sharing import FINISHED
    from training.ml.studies import open_storage
    from training.pipeline.selection import study_name

    deadline = time.monotonic() + 5 * LONGEST_SECS
    open_states = ("queued", "running")
    while _row(run)[0] in open_states or _asked(lambda: run.shares.filter(state__in=open_states).exists()):
        if time.monotonic() > deadline:
            return [f"run {number} does not end: {_row(run)}"]
        time.sleep(0.2)
    state, attempt, _, done, _, error = _row(run)
    with open_storage(settings.OPTUNA_STORAGE) as storage:
        counts = {
            name: len(optuna.load_study(study_name=study_name(run, name), storage=storage).get_trials(states=FINISHED))
            for name in TYPES
        }
    versions = Version.objects.filter(lineage__run=str(run.pk)).count()
    ends = AuditRecord.objects.filter(action="run.succeeded", subject=run.subject).count()
    found = (state, error, counts, done, versions, ends)
    _say(f"run {number}: {state} in {attempt} attempts, {counts}, {versions} version, {ends} end")
    wanted = ("succeeded", "", dict.fromkeys(TYPES, N_TRIALS), N_TRIALS * len(TYPES), 1, 1)
    return [] if found == wanted else [f"run {number}: must be {wanted} but is {found}"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
