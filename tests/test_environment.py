"""What changes when one of the variables changes that operators set: seen from outside, in processes of their own.

A bad value stops the start: tests/core/test_env.py.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests import template
from tests.core.receivers import receiver
from tests.processes import ROOT

KEYS = {"SECRET_KEY": "s" * 32, "AUDIT_KEY": "a" * 32}
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs code in a new process where nothing is set but STEWARD_HOME and what is given; what it printed."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    clean |= {"STEWARD_HOME": str(tmp_path / "home"), "PYTHONWARNINGS": "ignore"}

    def run(code: str, *, may_fail: bool = False, **variables: str) -> str:
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=ROOT, env=clean | variables, capture_output=True, text=True, timeout=300, check=False
        )
        assert may_fail or done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    return run


@pytest.fixture
def started(tmp_path: Path) -> None:
    """The home is that of a site that has just been set up. Without it, the first process makes the database."""
    template.put_into(tmp_path / "home")


def rows(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


USE = """
from mlops_site.core import face; face.ready()
from mlops_site.core.models import Team
Team.objects.create(name="claims")
"""


@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes]]]:
    """A port whose callers are heard and not answered, and what they said first."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    heard.append(caller.recv(1024))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.usefixtures("started")
def test_database_url_says_where_everything_is_kept(run: Run, tmp_path: Path, server: tuple[int, list[bytes]]) -> None:
    run(USE)
    assert rows(tmp_path / "home/steward.sqlite3", "core_team") == 1  # unset: a file in the home
    port, heard = server
    url = f"postgresql://steward:pass@127.0.0.1:{port}/steward?sslmode=disable&gssencmode=disable"
    run(USE, may_fail=True, DATABASE_URL=url, **KEYS)
    assert b"user\0steward\0database\0steward\0" in heard[0]  # set: it asks that server, as that user


TRAIN = """
from tests.training.claims import claims
from training.training_pipeline import TrainingConfig, TrainingPipeline

config = TrainingConfig("claims", model_types=["logistic_regression"], target="high_cost", n_trials=2, cv_folds=2)
status = TrainingPipeline(show_progress=False).run_training_pipeline_sync(claims(300), config)
print(status.state, bool(status.mlflow))
"""


@pytest.mark.usefixtures("started")
def test_mlflow_tracking_uri_and_optuna_storage_say_where_runs_and_searches_are_recorded(
    run: Run, tmp_path: Path
) -> None:
    runs, searches = tmp_path / "runs.sqlite3", tmp_path / "searches.sqlite3"
    said = run(TRAIN, MLFLOW_TRACKING_URI=f"sqlite:///{runs}", OPTUNA_STORAGE=f"sqlite:///{searches}")
    assert said == "succeeded True"
    assert (rows(runs, "runs"), rows(searches, "trials")) == (4, 2)  # the run, its model type, their trials
    assert not list((tmp_path / "home").glob("mlflow.sqlite3*"))
    assert not list((tmp_path / "home").glob("optuna.sqlite3*"))


LOOK = """
import json
import numpy as np, pandas as pd
from datetime import timedelta
from django.utils import timezone
from sklearn.linear_model import LogisticRegression
from monitoring.model_monitoring import ModelMonitor
from registry.model_registry import ModelRegistry
from mlops_site.core import face, webhooks
from monitoring import analysis, services
from registry import selectors

random = np.random.default_rng(5)
before = pd.DataFrame({"age": random.normal(50, 9, 2000), "visits": random.poisson(3, 2000)})
fitted = LogisticRegression().fit(before, before.age > 50)
made = ModelRegistry().register_model(
    model_name="claims", model_obj=fitted, metrics={"accuracy": 0.9, "f1_score": 0.9}, sample=before
)
found = ModelMonitor().monitor_model_sync("claims", made.version, before.assign(age=before.age + 6).head(90), before)

actor, now = face.actor(), timezone.now()
about = {"model_name": "claims", "model_version": made.version}
rows = enumerate(before.head(300).to_dict("records"))
asked = [{**about, "request_id": str(n), "features": row, "prediction": True} for n, row in rows]
labels = [{"model_name": "claims", "request_id": str(n), "label": n % 3 > 0} for n in range(300)]
services.log_predictions(asked, actor=actor), services.log_labels(labels, actor=actor), services.fold_all()
version = selectors.version_numbered(selectors.model_named(actor, "claims"), made.version)
report = analysis.report_of_window(version, now - timedelta(hours=1), now + timedelta(hours=1))
said = {
    "enough": not found.notes,
    "drifted": found.drift.drifted,
    "degraded": "performance" in [each["rule"] for each in report.findings],
    "sent": webhooks.send_due(),
}
print(json.dumps(said))
"""
ENOUGH = {"MIN_SAMPLES_FOR_MONITORING": "80"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"enough": False, "drifted": 0, "degraded": True, "sent": 0}),
        (ENOUGH, {"enough": True, "drifted": 1, "degraded": True, "sent": 0}),
        ({**ENOUGH, "DRIFT_THRESHOLD": "0.6"}, {"enough": True, "drifted": 0, "degraded": True, "sent": 0}),
        ({"PERFORMANCE_DEGRADATION_THRESHOLD": "0.3"}, {"enough": False, "drifted": 0, "degraded": False, "sent": 0}),
    ],
    ids=["the seed's", "fewer samples", "larger drift", "larger loss"],
)  # fmt: skip
@pytest.mark.usefixtures("started")
def test_thresholds_decide_what_monitoring_says(
    run: Run, variables: dict[str, str], expected: dict[str, object]
) -> None:
    assert json.loads(run(LOOK, **variables)) == expected


@pytest.mark.usefixtures("started")
def test_monitoring_webhook_url_says_who_is_told_of_an_alert(run: Run) -> None:
    with receiver(204) as hook:
        said = json.loads(run(LOOK, **ENOUGH, MONITORING_WEBHOOK_URL=hook.url))
    assert said["sent"] == 1
    ((_, _, body),) = hook.got
    assert (body["type"], body["rule"], body["model"]) == ("alert.raised", "drift", "claims")
