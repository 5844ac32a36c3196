"""The notebook face, as the seed shows it: in a plain process and in a Jupyter kernel, embedded, without a worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests import template

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
pipeline = TrainingPipeline(tell_mlflow=False)
"""
PREPARED = """
from tests.training.claims import claims

df = claims(300).rename(columns={"high_cost": "is_fraud"})
"""


def readme_example() -> str:
    """As it stands there, but for the number of trials."""
    blocks: list[str] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (found,) = [block for block in blocks if "run_training_pipeline(" in block]
    assert "n_trials=20" in found
    return found.replace("n_trials=20", "n_trials=1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of somebody who has just started: nothing of the site is set."""
    template.put_into(started := tmp_path_factory.mktemp("home"))
    ours = ("STEWARD_", "DJANGO_", "TEST_", "PYTEST_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "AUDIT_KEY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "STEWARD_HOME": str(started), "PYTHONPATH": str(ROOT)}


def run(code: str, home: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=home, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_the_readmes_example_runs_in_a_jupyter_kernel(
    home: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template.put_into(tmp_path)
    template.put_mlflow(tmp_path)
    for name in set(os.environ) - set(home):
        monkeypatch.delenv(name)
    for name, value in {**home, "STEWARD_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    cells = [
        PREPARED,
        readme_example(),
        "print(results.state, results.version, results.trials.done, len(results.leaderboard), bool(results.mlflow))",
        "import os\nTrainingPipeline().status(results.job_id).state, os.environ.get('DJANGO_ALLOW_ASYNC_UNSAFE')",
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    kernel = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    kernel.execute()
    assert notebook.cells[2].outputs[0].text.strip() == "succeeded 1.0.0 2 2 True"
    drawn = [out.data["text/html"] for out in notebook.cells[1].outputs if "text/html" in out.get("data", {})]
    assert any('<progress max="1" value="1.000"' in bar for bar in drawn), drawn  # redrawn in its place until the end
    assert len(drawn) == 1
    assert notebook.cells[3].outputs[-1].data["text/plain"] == "('succeeded', None)"


def test_the_readmes_example_runs_in_a_plain_process_and_its_records_are_read(
    home: Mapping[str, str], tmp_path: Path
) -> None:
    code = f"""{PREPARED}
import ast, asyncio

code = compile({readme_example()!r}, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
asyncio.run(eval(code))
print(results.state, results.trials.done, results.trigger_reason)
pipeline = TrainingPipeline()
table = pipeline.runs("fraud_detection")
print(len(table), table.loc[0, "job_id"] == results.job_id, table.loc[0, "metrics.roc_auc"] > 0.5)
print(pipeline.status(results.job_id).state, *pipeline.datasets().loc[0, ["name", "version", "rows"]])
print(pipeline.load_dataset("fraud_detection").shape == df.shape)
from mlops_site.core.errors import Invalid
try:
    pipeline.compare(results.job_id)
except Invalid as error:
    print(error)
"""
    template.put_into(tmp_path)
    down = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}  # it is told later; the notebook above waits for it
    assert run(code, {**home, **down, "STEWARD_HOME": str(tmp_path)}).splitlines() == [
        "succeeded 2 scheduled_retrain",
        "1 True True",
        "succeeded fraud_detection 1 300",
        "True",
        "runs must be 2 to 6 different runs but got 1",
    ]


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
print(lost.state, lost.error[:29], lost.error[-43:], Version.objects.count())
"""
    template.put_into(tmp_path)
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
        "failed the file of fraud_detection@1 or upload the same file under the same name 0",
    ]


def test_cancelling_the_task_cancels_the_run(home: Mapping[str, str]) -> None:
    code = f"""{CONFIG}
import asyncio
from mlops_site.core import face
from training.models import Run

face.migrate()  # before anything looks for runs
config.n_trials = 1000
watched = TrainingPipeline(show_progress=True, tell_mlflow=False)

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
    template.put_into(tmp_path)
    said = run(CONFIG + AGAIN, {**home, "STEWARD_HOME": str(tmp_path)}).splitlines()
    assert said == ["no_training_run", "succeeded performance_degradation fraud_detection@1", "cooling_down"]
