"""The notebook face, as the seed shows it: in a plain process and in a Jupyter kernel, embedded, without a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

new_notebook: Any = nbformat.v4.new_notebook
new_code_cell: Any = nbformat.v4.new_code_cell
ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
import os
from tests.training.claims import claims
from training.training_pipeline import TrainingPipeline, TrainingConfig

df = claims(300)
config = TrainingConfig(
    model_name="fraud_detection",
    model_types=["logistic_regression"],
    hyperparameter_optimization=True,
    auto_deploy_threshold=0.85,
    target="high_cost",
    group_column="person",
    n_trials=2,
    cv_folds=2,
)
pipeline = TrainingPipeline()

def unsafe():
    return os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
"""
SAID = "print(results.state, results.version, results.trials.done, results.leaderboard[0].model_type, unsafe())"
EXPECTED = "succeeded 1.0.0 2 logistic_regression None"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of somebody who has just cloned the project: nothing of the site is set."""
    ours = ("STEWARD_", "DJANGO_", "TEST_", "PYTEST_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "AUDIT_KEY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "STEWARD_HOME": str(tmp_path_factory.mktemp("home")), "PYTHONPATH": str(ROOT)}


def run(code: str, home: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=home, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_the_seeds_example_runs_in_a_plain_process(home: Mapping[str, str]) -> None:
    code = f"""{CONFIG}
import asyncio

async def main():
    return await pipeline.run_training_pipeline(training_data=df, config=config, trigger_reason="scheduled_retrain")

results = asyncio.run(main())
{SAID}
print(results.trigger_reason)
"""
    assert run(code, home).splitlines() == [EXPECTED, "scheduled_retrain"]


def test_the_seeds_example_runs_in_a_jupyter_kernel(home: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(home):
        monkeypatch.delenv(name)
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    cells = [
        CONFIG,
        "results = await pipeline.run_training_pipeline(\n"
        '    training_data=df, config=config, trigger_reason="scheduled_retrain"\n)',
        SAID,
        'pipeline.run_training_pipeline_sync("fraud_detection@1", config).state',
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    kernel = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    kernel.execute()
    assert notebook.cells[2].outputs[0].text.strip() == EXPECTED
    assert notebook.cells[3].outputs[-1].data["text/plain"] == "'succeeded'"


def test_bad_data_raises_what_the_api_answers_and_writes_nothing(home: Mapping[str, str]) -> None:
    code = f"""{CONFIG}
from mlops_site.core.errors import Invalid
from registry.models import RegisteredModel
from training.models import Dataset

config.model_name = "never_made"
bad = {{
    "repeated": df.rename(columns={{"age": "plan"}}),
    "single class": df.assign(high_cost=1),
    "empty target": df.assign(high_cost=None),
    "infinite": df.assign(age=float("inf")),
    "few rows": df.head(20),
}}
for name, frame in bad.items():
    try:
        pipeline.run_training_pipeline_sync(frame, config)
    except Invalid as error:
        print(name, error.errors[0].field, error.code)
config.target = None
try:
    pipeline.run_training_pipeline_sync(df, config)
except Invalid as error:
    print(error)
config.target, config.n_trials = "high_cost", 0
try:
    pipeline.run_training_pipeline_sync(df, config)
except Invalid as error:
    print(error)
print(RegisteredModel.objects.filter(name="never_made").exists(), Dataset.objects.filter(name="never_made").count())
"""
    assert run(code, home).splitlines() == [
        "repeated file.plan duplicate_column",
        "single class target classes",
        "empty target target target_missing",
        "infinite file.age not_finite",
        "few rows file usable_rows",
        "target must name the column to predict; the columns are person, year, age, visits, plan, dollars, high_cost",
        "n_trials must be a whole number from 1 to 1000 but got 0",
        "False 1",
    ]


def test_wrong_requests_lost_data_and_a_full_disk_are_named(home: Mapping[str, str], tmp_path: Path) -> None:
    code = f"""{CONFIG}
import dataclasses, os, tempfile
from mlops_site.core import face, store
from mlops_site.core.errors import StewardError
from registry.models import Version
from training.models import Dataset, DatasetVersion, Run

def refused(data, **changes):
    try:
        pipeline.run_training_pipeline_sync(data, dataclasses.replace(config, **changes))
    except StewardError as error:
        print(error.code, error.errors[0].field if error.errors else error.detail[:45])

face.migrate()
made = tempfile.mkstemp

def full(*args, **options):
    handle, path = made(*args, **options)
    os.close(handle)
    return os.open("/dev/full", os.O_WRONLY), path

tempfile.mkstemp = full
refused(df)
tempfile.mkstemp = made
refused(df, target="nothing")
refused(df, target="plan", task_type="regression", dataset_name="plans")
refused(df, model_types=["catboost"])
refused(df, metric="auc")
refused(df, search_space={{"logistic_regression": {{}}}})
refused(df.assign(person=df.index % 3), cv_folds=3, dataset_name="few")
print(Run.objects.count(), Version.objects.count())

store.delete(DatasetVersion.objects.get(dataset__name="fraud_detection", target="high_cost").digest)
lost = pipeline.run_training_pipeline_sync("fraud_detection", config)
print(lost.state, lost.error[:29], lost.error[-36:], Version.objects.count())
"""
    said = run(code, {**home, "STEWARD_HOME": str(tmp_path)}).splitlines()
    assert said == [
        "storage_full the disk is full (no space left on device); n",
        "target_column target",
        "target_kind target",
        "unknown_model_type model_types",
        "unknown_metric metric",
        "invalid search_space.logistic_regression",
        "too_few_groups cv_folds",
        "0 0",
        "failed the data of fraud_detection@1 deleted; upload the same bytes again 0",
    ]


def test_cancelling_the_task_cancels_the_run(home: Mapping[str, str]) -> None:
    code = f"""{CONFIG}
import asyncio
from mlops_site.core import face
from training.models import Run

face.migrate()  # before anything looks for runs
config.n_trials = 1000
watched = TrainingPipeline(show_progress=True)

async def main():
    task = asyncio.create_task(watched.run_training_pipeline(training_data=df, config=config))
    while not await look_up(lambda: Run.objects.filter(trials_done__gte=1, spec__n_trials=1000).exists()):
        await asyncio.sleep(0.2)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    while not await look_up(lambda: Run.objects.filter(state="cancelled").exists()):
        await asyncio.sleep(0.2)

async def look_up(look):
    return await asyncio.get_running_loop().run_in_executor(None, look)

asyncio.run(main())
print("cancelled")
"""
    said = run(code, home)
    assert "search logistic_regression" in said
    assert "cancelled" in said.splitlines()


AGAIN = """
import asyncio
from mlops_site.core.errors import Conflict

pipeline.run_training_pipeline_sync(df, config)
asked = {
    "model_name": "fraud_detection",
    "trigger_reason": "performance_degradation",
    "config_overrides": {"hyperparameter_optimization": True, "model_types": ["logistic_regression"], "n_trials": 1},
}
try:
    asyncio.run(pipeline.trigger_retraining(**asked))
except Conflict as error:
    print(error.code)
results = asyncio.run(pipeline.trigger_retraining(**asked, dataset="fraud_detection"))
print(results.state, results.trigger_reason, results.dataset)
try:
    pipeline.trigger_retraining_sync(**asked, dataset="fraud_detection")
except Conflict as error:
    print(error.code)
"""


def test_a_model_is_trained_again_as_the_seed_shows_it(home: Mapping[str, str], tmp_path: Path) -> None:
    said = run(CONFIG + AGAIN, {**home, "STEWARD_HOME": str(tmp_path)}).splitlines()
    assert said == ["no_training_run", "succeeded performance_degradation fraud_detection@1", "cooling_down"]
