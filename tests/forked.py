"""Inspections of uploads in a fork of the test's process: the same work, without two seconds of imports each.

That the real one is a process of its own, limited and without secrets, is shown where the mark `real_child` is, and by
every test that uploads to a web process.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from typing import IO, NoReturn

from threadpoolctl import threadpool_limits

from registry.artifacts import inspection, trial

Done = subprocess.CompletedProcess[bytes]
KEPT = 500
RUN: Callable[[IO[bytes], inspection.Limits], Done] = inspection._run


_said: dict[tuple[str, inspection.Limits], Done] = {}


def run(handed: IO[bytes], limits: inspection.Limits) -> Done:
    """In the place of `inspection._run`; a fork from a thread could find locks that nobody lets go of.

    What was inspected in this process before, with the same signature, rows and trust, is not tried again.
    """
    asked = hashlib.file_digest(handed, "sha256").hexdigest(), limits  # type: ignore[arg-type]  # it is a file
    handed.seek(0)
    if (said := _said.get(asked)) is not None:
        return said
    if threading.current_thread() is not threading.main_thread():
        return RUN(handed, limits)
    done = _forked(handed, limits)
    if done.returncode == 0 and len(_said) < KEPT:
        _said[asked] = done
    return done


def _forked(handed: IO[bytes], limits: inspection.Limits) -> Done:
    out, into = os.pipe()
    if (pid := os.fork()) == 0:
        _answer(handed.fileno(), into, limits)
    os.close(into)
    with os.fdopen(out, "rb") as answers:
        said = answers.read()
    return Done([], os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said, b"")


def _answer(handed: int, into: int, limits: inspection.Limits) -> NoReturn:
    status = 1
    try:
        signal.alarm(int(limits.timeout_secs) + 5)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        sys.stdin, sys.stdout = io.TextIOWrapper(os.fdopen(handed, "rb")), os.fdopen(into, "w")
        warnings.simplefilter("ignore")
        with threadpool_limits(1):  # the fork has none of the threads that a pool counts on
            trial.answer()
        sys.stdout.flush()
        status = 0
    finally:
        os._exit(status)
