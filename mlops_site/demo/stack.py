"""Starts the site as `make up` does, waits until it is ready, and stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from mlops_site.demo.client import StepFailed

ROOT = Path(__file__).resolve().parent.parent.parent


def address() -> str:
    return f"http://127.0.0.1:{os.environ.get('PORT') or 8007}"


@contextmanager
def running(log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """The site's processes under supervisor, with these variables set; all of them are gone when the block is left."""
    refuse_occupied()
    with log.open("ab") as file:
        site = subprocess.Popen(
            [str(ROOT / "deploy" / "start"), "site"],
            cwd=ROOT,
            stdout=file,
            stderr=file,
            env=os.environ | variables,
            start_new_session=True,
        )
    try:
        wait_until_ready(site, log)
        yield site
    finally:
        stop(site)


def refuse_occupied() -> None:
    """Another server on the port would answer in the site's name."""
    with suppress(requests.RequestException):
        requests.get(f"{address()}/livez", timeout=2)
        raise StepFailed(f"something already answers on {address()}; stop it, or choose another with PORT=8017")


def wait_until_ready(site: subprocess.Popen[bytes], log: Path, *, secs: float = 180) -> None:
    deadline = time.monotonic() + secs
    while time.monotonic() < deadline and site.poll() is None:
        with suppress(requests.RequestException):
            if requests.get(f"{address()}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.3)
    tail = log.read_text(errors="replace")[-2000:]
    raise StepFailed(f"the site was not ready on {address()} within {secs:.0f} s; its log ends:\n{tail}")


def stop(site: subprocess.Popen[bytes], *, secs: float = 40) -> None:
    """Ask supervisor to end its processes, and wait for it."""
    if site.poll() is None:
        site.send_signal(signal.SIGTERM)
    try:
        site.wait(secs)
    except subprocess.TimeoutExpired:
        os.killpg(site.pid, signal.SIGKILL)
        site.wait()
