"""The whole site under supervisor, as `make up` starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests import template
from tests.processes import ROOT, Process, free_port, listens

SUPERVISORCTL: list[str | Path] = [sys.executable, "-m", "supervisor.supervisorctl", "-c", ROOT / "supervisord.conf"]


def pid_of(program: str, env: dict[str, str]) -> int:
    """The pid that supervisor knows for `program`, 0 when it is not running."""
    done = subprocess.run(
        [*SUPERVISORCTL, "pid", program], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    return int(done.stdout) if done.stdout.strip().isdigit() else 0


def answers(port: int) -> bool:
    """Whether a web worker has loaded the site: it answers, whatever it says."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status > 0
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def wait_until(condition: Callable[[], bool], *, within_secs: float) -> None:
    deadline = time.monotonic() + within_secs
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_secs} s"
        time.sleep(0.2)


def test_a_killed_web_process_comes_back_and_the_site_stops_as_one(
    processes: Callable[..., Process], tmp_path: Path
) -> None:
    port, mlflow_port = free_port(), free_port()
    template.put_into(tmp_path / "home")
    env = {"STEWARD_HOME": str(tmp_path / "home"), "PORT": str(port), "MLFLOW_PORT": str(mlflow_port)}
    env |= {
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "RUN_AS": str(os.getuid()),
        "CPU_WORKER": "false",
        "GPU_WORKER": "false",
    }
    site = processes([ROOT / "deploy/start", "site"], env=env, ready=lambda: answers(port), within_secs=180)

    first = pid_of("web", env)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pid_of("web", env) not in {0, first} and answers(port), within_secs=180)

    pids = [pid_of(program, env) for program in ("web", "worker", "beat", "mlflow")]
    assert 0 not in pids
    site.stop(within_secs=180)
    assert site.popen.returncode == 0
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    # gunicorn's orphans of the killed process end by themselves, once they have loaded the site.
    wait_until(lambda: not listens(port), within_secs=60)
