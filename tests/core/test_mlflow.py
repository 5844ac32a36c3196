"""MLflow's database in a home of its own is made once, whoever comes at the same time and whatever is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.processes import ROOT

OPEN = """
import sys
from django.conf import settings
settings.configure(MLFLOW_TRACKING_URI=f"sqlite:///{sys.argv[1]}/mlflow.sqlite3", MLFLOW_ARTIFACTS=sys.argv[1])
import mlflow.store.tracking.sqlalchemy_store  # takes seconds, and is not what is tried here
from mlops_site.core.mlflow import experiment, opened
print("begins", flush=True)
client = opened()
print(experiment(client, "claims"))
"""


def opening(home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", OPEN, str(home)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_that_open_it_together_find_one_database(tmp_path: Path) -> None:
    together = [opening(tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in together]
    assert [out.split() for out, _ in said] == [["begins", "1"]] * 2, said


def test_a_process_that_is_killed_while_it_makes_it_leaves_no_half(tmp_path: Path) -> None:
    process = opening(tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size for file in tmp_path.glob("mlflow.sqlite3*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)
    process.kill()
    process.communicate()
    assert not (tmp_path / "mlflow.sqlite3").exists()  # killed in time
    out, err = opening(tmp_path).communicate(timeout=120)
    assert out.split() == ["begins", "1"], err[-2000:]
