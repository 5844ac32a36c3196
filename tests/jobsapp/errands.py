"""What an errand's child process can be told to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from django.db import connection

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict
from tests.jobsapp.models import Errand


def execute(errand: Errand) -> None:
    for order in errand.orders:
        verb, _, rest = order.partition(" ")
        ORDERS[verb](errand, rest)


def reach(errand: Errand, progress: str) -> None:
    jobs.advance(errand, step=f"at {progress}", progress=float(progress))


def succeed(errand: Errand, note: str) -> None:
    with jobs.fenced(errand):
        jobs.finish(errand, JobState.SUCCEEDED, note=note, progress=1.0)


def spawn(errand: Errand, path: str) -> None:
    """A grandchild that hears no SIGTERM; its pid is written to `path`, beside ours."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    grandchild = subprocess.Popen([sys.executable, "-c", deaf])
    Path(path).with_suffix(".draft").write_text(f"{os.getpid()} {grandchild.pid}")
    Path(path).with_suffix(".draft").rename(path)


def litter(errand: Errand, path: str) -> None:
    """A temporary file that nobody takes away, and at the path its name."""
    with tempfile.NamedTemporaryFile(delete=False) as file:
        Path(path).write_text(file.name)


def crash(errand: Errand, sign: str) -> None:
    os.kill(os.getpid(), signal.Signals[sign])
    time.sleep(60)


def leave(errand: Errand, status: str) -> None:
    os._exit(int(status))


def hang(errand: Errand, rest: str) -> None:
    time.sleep(300)


def sever(errand: Errand, rest: str) -> None:
    """What a restart of PostgreSQL does to whoever is connected."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def first(errand: Errand, order: str) -> None:
    """The order, but in the first attempt only."""
    if errand.attempt == 1:
        verb, _, rest = order.partition(" ")
        ORDERS[verb](errand, rest)


def eat(errand: Errand, megabytes: str) -> None:
    food = bytearray(int(megabytes) * 2**20)
    food[::4096] = b"x" * len(food[::4096])
    time.sleep(300)


def refuse(errand: Errand, detail: str) -> None:
    raise Conflict(detail)


def fail(errand: Errand, detail: str) -> None:
    raise ZeroDivisionError(detail)


def load(errand: Errand, artifact: str) -> None:
    """A stored artifact, `FORM DIGEST`, as serving loads it."""
    from registry.artifacts import scorer
    from tests.registry.parts import SIGNATURE

    form, digest = artifact.split()
    scorer.load(digest, form, SIGNATURE)


ORDERS = {
    f.__name__: f for f in (reach, succeed, spawn, litter, crash, leave, hang, first, sever, eat, refuse, fail, load)
}
