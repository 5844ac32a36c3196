"""A run in parts, whole: asked for over HTTP, done by a real worker on a Dask cluster of its own, approved, serving."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django.fixtures import Settings

from mlops_site.core import store
from registry.models import Version
from tests.people import bearer, person
from tests.processes import Process
from tests.training import workers
from tests.training.claims import claims, csv_of
from tests.training.workers import child_of, fresh, until
from training.ml.told import hashes_of
from training.models import Run
from training.services.quality import frame_of

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]

API, MODEL = "/api/v1", "high_cost_claim"
FEATURES = ["age", "visits", "plan"]
ENV = {"LARGE_RUN_MB": "1", "DASK_PROCESSES": "2", "DASK_MEMORY_MB": "512"}


@pytest.fixture
def who(settings: Settings) -> dict[str, Client]:
    settings.LARGE_RUN_BYTES = 2**20
    roles = {"enno": "ml_engineer", "dana": "data_scientist", "ben": "approver", "app": "service"}
    found = {name: Client(headers=bearer(person(name, role))) for name, role in roles.items()}
    post(found["enno"], "/models", {"name": MODEL, "task_type": "classification"}, expect=201)
    return found


def upload(who: dict[str, Client], rows: int) -> None:
    file = SimpleUploadedFile("claims.csv", csv_of(claims(rows)).getvalue())
    declared = {"file": file, "name": "claims", "target": "high_cost", "group_column": "person"}
    assert who["dana"].post(f"{API}/datasets", declared).status_code == 201


def post(client: Client, path: str, body: Any, *, expect: int = 200) -> Any:
    answer = client.post(f"{API}{path}", body, content_type="application/json")
    assert answer.status_code == expect, answer.content
    return answer.json()


def begun(who: dict[str, Client], *model_types: str, **changes: Any) -> Run:
    asked = {"model_name": MODEL, "dataset": "claims", "features": FEATURES, "model_types": model_types, **changes}
    job = post(who["dana"], "/training/start", {"cv_folds": 2, "auto_deploy_threshold": 0.6, **asked}, expect=202)
    return Run.objects.get(pk=job["job_id"])


def ended(run: Run) -> Run:
    until(lambda: fresh(run).has_ended)
    run = fresh(run)
    assert (run.state, run.error) == ("succeeded", "")
    assert any("in parts" in line for line in run.lines.values_list("text", flat=True))
    return run


def scores(version: Version | None) -> pd.Series[Any]:
    """What the run said of the rows held out, by their keys."""
    assert version is not None
    assert version.holdout is not None
    held = pd.read_parquet(io.BytesIO(store.read(version.holdout.digest)))
    return held.set_index("row_key")["score"]


def test_what_it_serves_is_what_the_run_said(
    who: dict[str, Client], processes: Callable[..., Process], tmp_path: Path
) -> None:
    upload(who, 20_000)
    workers.start_worker(processes, tmp_path, **{**ENV, "DASK_PROCESSES": "1"})
    run = ended(begun(who, "logistic_regression", n_trials=1))
    status = who["dana"].get(f"{API}/training/status/{run.pk}").json()
    request = status["gate"]["outcome"]["request"]
    assert post(who["ben"], f"/approvals/{request}/approve", {"comment": "read"})["status"] == "approved"

    said = scores(run.version)
    table = frame_of(run.dataset)
    keys = [f"{row:016x}-0" for row in hashes_of(table)]
    held = table[FEATURES].set_axis(keys).loc[said.index.intersection(keys, sort=False)].iloc[:300]
    asked = held.astype(object).where(held.notna(), None).to_dict("records")
    answer = post(who["app"], f"/models/{MODEL}/predict", {"rows": [{"features": row} for row in asked]})
    assert answer["version"] == status["version"] == "1.0.0"
    assert len(answer["predictions"]) == 300
    served = [row["score"] for row in answer["predictions"]]
    np.testing.assert_allclose(served, said[held.index], rtol=0, atol=1e-6)
    assert np.ptp(served) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["logistic_regression", "lightgbm"])
def test_it_comes_to_the_same_when_workers_of_the_cluster_are_killed(
    model_type: str, who: dict[str, Client], processes: Callable[..., Process], tmp_path: Path
) -> None:
    upload(who, 40_000)  # two parts are trained on
    workers.start_worker(processes, tmp_path, **ENV)
    whole = ended(begun(who, model_type, n_trials=4))
    run, killed = begun(who, model_type, n_trials=4), 0
    for trials in (0, 1, 2, 3):
        until(partial(at_work_or_over, run, trials))
        for worker in dask_workers(run)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
    run = ended(run)
    assert killed >= 3
    assert run.attempt == 1
    pd.testing.assert_series_equal(scores(run.version), scores(whole.version), rtol=0, atol=1e-12)


def at_work_or_over(run: Run, trials: int) -> bool:
    now = fresh(run)
    return now.has_ended or (now.trials_done >= trials and bool(dask_workers(run)))


def dask_workers(run: Run) -> list[int]:
    """The processes of the cluster that the run has started."""
    child = child_of(run)
    if child is None:
        return []
    return [each.pid for each in child.children() if "spawn_main" in " ".join(each.cmdline())]
