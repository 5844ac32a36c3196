"""Real child processes: success, crash, limits, cancellation, and the death of whoever watches."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from mlops_site.core import child, jobs
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from tests.jobsapp.models import Errand
from tests.processes import ROOT, Process

pytestmark = pytest.mark.django_db(transaction=True)
WATCHER = "import sys, django; django.setup(); from mlops_site.core.tasks import execute_job; execute_job(sys.argv[1])"


@pytest.fixture(autouse=True)
def quick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOB_HEARTBEAT_SECS = 0.2
    monkeypatch.setattr(child, "GRACE_SECS", 0.5)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.lean_settings")  # for the children


def claimed(*orders: str, **fields: object) -> Errand:
    job = jobs.claim(Errand.objects.create(orders=list(orders), **fields), worker="tests")
    assert job is not None
    return job


def watched(*orders: str, **fields: object) -> Errand:
    job = claimed(*orders, **fields)
    child.watch(job)
    return Errand.objects.get(pk=job.pk)


def eventually(what: Callable[[], object], within_secs: float = 20.0) -> None:
    deadline = time.monotonic() + within_secs
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def pids(path: Path) -> list[int]:
    eventually(path.exists)
    return [int(pid) for pid in path.read_text().split()]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_child_that_does_its_work_writes_its_own_end() -> None:
    job = watched("reach 0.5", "succeed all done")
    assert (job.state, job.note, job.progress, job.error, job.attempt) == ("succeeded", "all done", 1.0, "", 1)


def test_what_a_killed_child_leaves_in_temporary_files_goes_with_it(tmp_path: Path) -> None:
    job = watched(f"litter {tmp_path / 'name'}", "crash SIGKILL")
    left = Path((tmp_path / "name").read_text())
    assert job.error == "attempt 1 was killed by SIGKILL"
    assert left.parent.name.startswith("steward-job-")
    assert not left.parent.exists()


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ("crash SIGKILL", "attempt 1 was killed by SIGKILL"),
        ("crash SIGSEGV", "attempt 1 was killed by SIGSEGV"),
        ("leave 3", "attempt 1 ended with exit status 3"),
        ("leave 0", "attempt 1 ended without a result"),
    ],
)
def test_a_child_that_dies_puts_its_job_back_with_the_reason(order: str, error: str) -> None:
    job = watched("reach 0.3", order)
    assert (job.state, job.error, job.progress, job.stalled) == ("queued", error, 0.3, 0)
    assert [due.pk for due in jobs.due()] == [job.pk]


@pytest.mark.parametrize(
    ("order", "error"), [("refuse too few rows", "too few rows"), ("fail oops", "ZeroDivisionError: oops")]
)
def test_a_refusal_or_a_mistake_ends_the_job_without_another_try(order: str, error: str) -> None:
    job = watched(order)
    assert (job.state, job.error) == ("failed", error)


def test_a_job_that_always_crashes_stops_after_three_attempts() -> None:
    job = Errand.objects.create(orders=["crash SIGKILL"])
    for _ in range(3):
        mine = jobs.claim(job, worker="tests")
        assert mine is not None
        child.watch(mine)
    assert jobs.claim(job, worker="tests") is None
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("failed", 3)
    assert "stopped after 3 attempts without progress" in job.error
    assert "SIGKILL" in job.error


def test_the_memory_limit_ends_it() -> None:
    job = watched("eat 600", memory_limit_mb=400)
    assert job.state == "failed"
    assert job.error.startswith("memory limit of 400 MB reached (")


def test_the_time_limit_ends_it_with_its_own_children(tmp_path: Path) -> None:
    job = watched(f"spawn {tmp_path / 'pids'}", "hang", time_limit_secs=4)
    assert (job.state, job.error) == ("failed", "time limit of 4 s reached")
    eventually(lambda: all(map(gone, pids(tmp_path / "pids"))))


def test_a_crash_leaves_none_of_its_own_children(tmp_path: Path) -> None:
    job = watched(f"spawn {tmp_path / 'pids'}", "crash SIGKILL")
    assert job.state == "queued"
    eventually(lambda: all(map(gone, pids(tmp_path / "pids"))))


def in_another_thread(job: Errand) -> threading.Thread:
    def watch() -> None:
        child.watch(job)
        connection.close()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> None:
    """Wait for the watcher; a crowded machine takes longer than the grace that it gives a child."""
    thread.join(60)
    assert not thread.is_alive(), "the child is still watched"


def test_cancelling_ends_the_whole_process_group(tmp_path: Path) -> None:
    job = claimed("reach 0.2", f"spawn {tmp_path / 'pids'}", "hang")
    thread = in_another_thread(job)
    family = pids(tmp_path / "pids")
    assert not any(gone(pid) for pid in family)
    jobs.cancel(Errand.objects.get(pk=job.pk), actor=Actor.system("tests"), team="claims")
    ended(thread)
    row = Errand.objects.get(pk=job.pk)
    assert (row.state, row.error) == ("cancelled", "cancelled")
    eventually(lambda: all(map(gone, family)))  # the kernel takes its time with those that it has killed
    assert list(AuditRecord.objects.values_list("action", flat=True)) == [
        "errand.cancel_requested",
        "errand.cancelled",
    ]


def test_a_child_whose_lease_was_lost_is_killed_and_changes_nothing(tmp_path: Path) -> None:
    job = claimed(f"spawn {tmp_path / 'pids'}", "hang")
    thread = in_another_thread(job)
    family = pids(tmp_path / "pids")
    Errand.objects.update(attempt=2, worker="another")
    ended(thread)
    row = Errand.objects.get(pk=job.pk)
    assert (row.state, row.attempt, row.worker, row.error) == ("running", 2, "another", "")
    eventually(lambda: all(map(gone, family)))  # the kernel takes its time with those that it has killed


def test_a_stale_attempt_does_nothing(processes: Callable[..., Process]) -> None:
    job = claimed("succeed")
    command = [sys.executable, ROOT / "manage.py", "execute_run", str(job.pk), "--attempt"]
    old = processes([*command, "0"])
    assert old.popen.wait(20) == child.LOST
    assert Errand.objects.get(pk=job.pk).state == "running"
    assert processes([*command, "1"]).popen.wait(20) == 0
    assert Errand.objects.get(pk=job.pk).state == "succeeded"


def test_the_heartbeat_keeps_the_lease_meanwhile(settings: Settings, tmp_path: Path) -> None:
    settings.JOB_LEASE_SECS = 1.0
    job = claimed(f"spawn {tmp_path / 'pids'}", "hang", time_limit_secs=6)
    thread = in_another_thread(job)
    pids(tmp_path / "pids")
    for _ in range(10):
        assert jobs.due() == []
        time.sleep(0.2)
    ended(thread)


@pytest.mark.parametrize("moment", ["at once", "at work"])
def test_the_child_dies_with_its_watcher(moment: str, processes: Callable[..., Process], tmp_path: Path) -> None:
    """Even when the watcher is killed before the child has finished starting."""
    job = Errand.objects.create(orders=[f"spawn {tmp_path / 'pids'}", "hang"])
    watcher = processes([sys.executable, "-c", WATCHER, str(job.pk)])
    eventually(psutil.Process(watcher.pid).children)
    started = {process.pid for process in psutil.Process(watcher.pid).children()}
    if moment == "at work":
        started |= set(pids(tmp_path / "pids"))
    os.kill(watcher.pid, signal.SIGKILL)
    eventually(lambda: all(gone(pid) for pid in started), within_secs=10)
    assert Errand.objects.get(pk=job.pk).state == "running"


@pytest.mark.postgres
def test_a_job_whose_database_went_away_is_given_back_and_not_failed() -> None:
    job = watched("first sever", "succeed after all")
    assert (job.state, job.attempt) == ("queued", 1)
    assert job.error.startswith("the database was away: ")
    again = jobs.claim(job, worker="tests")
    assert again is not None
    child.watch(again)
    assert Errand.objects.get(pk=job.pk).state == "succeeded"
