"""A real Celery worker with a real Beat on the test's database and Redis, with short leases."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from mlops_site.core.models import Job
from tests.processes import Process
from training.models import Run

Start = Callable[..., Process]
CELERY = [sys.executable, "-m", "celery", "-A", "mlops_site"]
LEASES = {
    "JOB_LEASE_SECS": "2",
    "JOB_HEARTBEAT_SECS": "0.5",
    "JOB_SWEEP_SECS": "1",
    "BEAT_LEASE_SECS": "3",  # so long nobody sweeps after a worker was killed with its Beat
}
ENV = {**LEASES, "DJANGO_SETTINGS_MODULE": "mlops_site.settings", "PYTHONWARNINGS": "ignore"}


def start_worker(processes: Start, tmp_path: Path, **env: str) -> Process:
    """One prefork worker of one process, and Beat, whose sweep is the guarantee behind the doorbell."""
    log = tmp_path / f"worker-{time.monotonic_ns()}.log"
    options = ["worker", "--pool", "prefork", "--concurrency", "1", "--without-gossip", "--without-mingle", "--beat"]
    command = [*CELERY, *options, "--hostname", f"{time.monotonic_ns()}@tests", "--loglevel", "INFO"]
    return processes(command, log=log, env=ENV | env, ready=lambda: " ready." in log.read_text())


def child_of(run: Job) -> psutil.Process | None:
    """The process that executes the run, or another job, if there is one now."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "execute_run" in words and str(run.pk) in words and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def until(what: Callable[[], Any], *, within_secs: float = 180.0, every_secs: float = 0.05) -> Any:
    """The first true answer of `what`."""
    deadline = time.monotonic() + within_secs
    while not (answer := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(every_secs)
    return answer


def fresh(run: Run) -> Run:
    return Run.objects.select_related("version", "model__team", "dataset__dataset").get(pk=run.pk)


def some_moment(secs: float, chance: random.Random) -> None:
    """Sleep until a random moment of a run that takes `secs`."""
    time.sleep(chance.uniform(0, secs))
