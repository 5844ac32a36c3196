"""The watched child: the claiming worker runs the job in a process of its own, so that it can be cancelled, limited
and can crash alone. The parent keeps the lease; the child dies with its parent."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

import psutil
from django.conf import settings
from django.db import Error, close_old_connections

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from mlops_site.core.models import Job

log = logging.getLogger(__name__)
POLL_SECS = 0.2
GRACE_SECS = 3.0
LOST = 75  # exit status of a child that found its lease gone


class Verdict(NamedTuple):
    """Why a child must be killed, and how its job ends; None leaves the row to whoever holds it now."""

    state: JobState | None
    reason: str


def watch(job: Job) -> None:
    """Run the claimed job's child to its end, whatever that end is. Its temporary files go with it."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "execute_run", str(job.pk)]
    with tempfile.TemporaryDirectory(prefix="steward-job-", ignore_cleanup_errors=True) as folder:
        child = subprocess.Popen(
            [*command, "--attempt", str(job.attempt), "--watcher", str(os.getpid())],
            cwd=settings.BASE_DIR,
            env={**os.environ, "TMPDIR": folder},
            start_new_session=True,
        )
        try:
            verdict = _until_it_ends(job, child)
        finally:
            _kill(child)
    _settle(job, child.returncode, verdict)


def _until_it_ends(job: Job, child: subprocess.Popen[bytes]) -> Verdict | None:
    """None when the child ended by itself, else why it must be killed."""
    started = last_beat = time.monotonic()
    next_beat = 0.0
    while child.poll() is None:
        now = time.monotonic()
        if verdict := _beyond_limits(job, child.pid, now - started):
            return verdict
        if now >= next_beat:
            next_beat = now + settings.JOB_HEARTBEAT_SECS
            try:
                if verdict := _beat(job):
                    return verdict
                last_beat = now
            except Error:  # a database that restarts costs no run, as long as the lease holds
                log.warning("no heartbeat for %s", job, exc_info=True)
                if now - last_beat > settings.JOB_LEASE_SECS:
                    return Verdict(None, "lease lost")
        time.sleep(POLL_SECS)
    return None


def _beyond_limits(job: Job, pid: int, secs: float) -> Verdict | None:
    if secs > job.time_limit_secs:
        return Verdict(JobState.FAILED, f"time limit of {job.time_limit_secs} s reached")
    if (used := _memory_mb(pid)) > job.memory_limit_mb:
        return Verdict(JobState.FAILED, f"memory limit of {job.memory_limit_mb} MB reached ({used:.0f} MB used)")
    return None


def _beat(job: Job) -> Verdict | None:
    close_old_connections()
    if not jobs.beat(job):
        return Verdict(None, "lease lost")
    job.refresh_from_db(fields=["cancel_requested_at"])
    return Verdict(JobState.CANCELLED, "cancelled") if job.cancel_requested_at else None


def _memory_mb(pid: int) -> float:
    """Resident memory of the child and its own children, in MB."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0.0
    return sum(map(_resident_bytes, family)) / 2**20


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it ended between the two looks
        return 0


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child politely, then whatever is left of its process group, which may outlive it."""
    if child.poll() is None:
        _signal(child, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=GRACE_SECS)
    _signal(child, signal.SIGKILL)
    child.wait()


def _signal(child: subprocess.Popen[bytes], sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, sign)


def _settle(job: Job, status: int, verdict: Verdict | None) -> None:
    """What the row says after the child is gone. A child that has written its own end finds nothing changed."""
    close_old_connections()
    job.refresh_from_db(fields=["cancel_requested_at"])
    if job.cancel_requested_at:
        jobs.finish(job, JobState.CANCELLED, error="cancelled")
    elif verdict is None:
        jobs.release(job, error=_ending(job.attempt, status))
    elif verdict.state is not None:
        jobs.finish(job, verdict.state, error=verdict.reason)


def _ending(attempt: int, status: int) -> str:
    if status < 0:
        return f"attempt {attempt} was killed by {signal.Signals(-status).name}"
    if status == 0:
        return f"attempt {attempt} ended without a result"
    return f"attempt {attempt} ended with exit status {status}"


def die_with(watcher: int) -> None:
    """In the child: end at once, with its own children, when the worker that watches is gone. Its pid is given,
    because a child that asks only after its worker died would take the reaper of orphans for its worker."""

    def look() -> None:
        while os.getppid() == watcher:
            time.sleep(POLL_SECS)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(LOST)

    threading.Thread(target=look, daemon=True, name="die-with-watcher").start()
