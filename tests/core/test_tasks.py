"""A real Celery worker process: the doorbell, the sweep behind it, and a worker that is killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from django.conf import settings

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from mlops_site.core.tasks import execute_job, sweep_jobs
from tests.jobsapp.models import Errand
from tests.processes import ROOT, Process

pytestmark = pytest.mark.django_db(transaction=True)
ENV = {"DJANGO_SETTINGS_MODULE": "tests.settings", "LOG_LEVEL": "INFO", "PYTHONWARNINGS": "ignore"}
QUICK = {"JOB_LEASE_SECS": "2", "JOB_HEARTBEAT_SECS": "0.5"}


@pytest.fixture
def worker(processes: Callable[..., Process], tmp_path: Path) -> Callable[[], Process]:
    """Starts one as supervisord.conf does; ready when it listens."""
    numbers = count()

    def start() -> Process:
        log = tmp_path / f"worker-{next(numbers)}.log"
        command = [ROOT / "deploy" / "start", "worker"]
        return processes(command, env={**ENV, **QUICK}, log=log, ready=lambda: " ready." in log.read_text())

    return start


def eventually(what: Callable[[], object], within_secs: float = 40.0) -> None:
    deadline = time.monotonic() + within_secs
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def state_of(job: Errand) -> str:
    return Errand.objects.get(pk=job.pk).state


def test_a_bell_is_heard_once_however_often_it_rings(worker: Callable[[], Process]) -> None:
    worker()
    job = Errand.objects.create(orders=["reach 0.5", "succeed by a worker"])
    for _ in range(3):
        execute_job.delay(str(job.pk))
    eventually(lambda: state_of(job) == JobState.SUCCEEDED)
    row = Errand.objects.get(pk=job.pk)
    assert (row.attempt, row.note) == (1, "by a worker")


def test_a_job_whose_worker_was_killed_is_swept_up_by_another(worker: Callable[[], Process]) -> None:
    job = Errand.objects.create(orders=["first reach 0.2", "first hang", "succeed after all"])
    first = worker()
    execute_job.delay(str(job.pk))
    eventually(lambda: Errand.objects.get(pk=job.pk).progress == 0.2)
    worker()
    first.kill()
    assert jobs.due() == []  # the lease holds
    eventually(jobs.due)
    sweep_jobs()
    eventually(lambda: state_of(job) == JobState.SUCCEEDED)
    row = Errand.objects.get(pk=job.pk)
    assert (row.attempt, row.note) == (2, "after all")


def test_the_sweep_rings_for_a_bell_that_was_lost(worker: Callable[[], Process]) -> None:
    job = Errand.objects.create(orders=["succeed"])
    worker()
    sweep_jobs()
    eventually(lambda: state_of(job) == JobState.SUCCEEDED)


def test_every_process_rings_the_same_broker() -> None:
    assert execute_job.app.conf.broker_url == settings.CELERY_BROKER_URL
