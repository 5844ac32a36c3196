"""The watched child: the claiming worker runs the job in a process of its own, so that it can be cancelled, limited
and can crash alone. The parent keeps the lease; the child dies with its parent."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import psutil
from django.conf import settings
from django.db import close_old_connections

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from mlops_site.core.models import Job

log = logging.getLogger(__name__)
POLL_SECS = 0.2
GRACE_SECS = 3.0
DONE, LOST = 0, 75  # exit status of a child that wrote its own end, or that found its lease gone


def watch(job: Job) -> None:
    """Run the claimed job's child to its end, whatever that end is."""
    child = subprocess.Popen(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "execute_run", str(job.pk), "--attempt", str(job.attempt)],
        cwd=settings.BASE_DIR,
        start_new_session=True,
    )
    verdict = ""
    try:
        verdict = _until_it_ends(job, child)
    finally:
        _kill(child)
    _settle(job, child.returncode, verdict)


def _until_it_ends(job: Job, child: subprocess.Popen[bytes]) -> str:
    """Empty when the child ended by itself, else why it must be killed."""
    started, next_beat = time.monotonic(), 0.0
    while child.poll() is None:
        now = time.monotonic()
        if now - started > job.time_limit_secs:
            return f"time limit of {job.time_limit_secs} s reached"
        if (used := _memory_mb(child.pid)) > job.memory_limit_mb:
            return f"memory limit of {job.memory_limit_mb} MB reached ({used:.0f} MB used)"
        if now >= next_beat:
            next_beat = now + settings.JOB_HEARTBEAT_SECS
            if verdict := _beat(job):
                return verdict
        time.sleep(POLL_SECS)
    return ""


def _beat(job: Job) -> str:
    close_old_connections()
    if not jobs.beat(job):
        return "lease lost"
    job.refresh_from_db(fields=["cancel_requested_at"])
    return "cancelled" if job.cancel_requested_at else ""


def _memory_mb(pid: int) -> float:
    """Resident memory of the child and its own children, in MB."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(p.memory_info().rss for p in family) / 2**20
    except psutil.Error:
        return 0.0


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child's whole process group: politely, then not."""
    for sign, patience in ((signal.SIGTERM, GRACE_SECS), (signal.SIGKILL, None)):
        if child.poll() is not None and sign == signal.SIGTERM:
            return
        try:
            os.killpg(child.pid, sign)
        except ProcessLookupError:
            pass
        try:
            child.wait(timeout=patience)
            return
        except subprocess.TimeoutExpired:
            continue


def _settle(job: Job, status: int, verdict: str) -> None:
    """What the row says after the child is gone. A child that ended well has written its own end."""
    close_old_connections()
    job.refresh_from_db(fields=["cancel_requested_at"])
    if verdict == "cancelled" or job.cancel_requested_at:
        jobs.finish(job, JobState.CANCELLED, error="cancelled")
    elif verdict.endswith("reached") or "limit of" in verdict:
        jobs.finish(job, JobState.FAILED, error=verdict)
    elif not verdict and status not in (DONE, LOST):
        jobs.release(job, error=_ending(job.attempt, status))


def _ending(attempt: int, status: int) -> str:
    if status < 0:
        return f"attempt {attempt} was killed by {signal.Signals(-status).name}"
    return f"attempt {attempt} ended with exit status {status}"


def die_with_parent(leave: Callable[[int], None] = os._exit) -> None:
    """In the child: end at once when the worker that watches is gone (it cannot be fenced by a signal everywhere)."""
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        leave(LOST)

    threading.Thread(target=look, daemon=True, name="die-with-parent").start()
