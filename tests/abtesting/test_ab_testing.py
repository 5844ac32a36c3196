"""The notebook face, as the seed shows it: in a plain process and in a Jupyter kernel, embedded, without a worker."""

from __future__ import annotations

import os
import shutil
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
# Two versions of the local operator; the first in production, which a second person has approved.
PREPARE = """
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from registry.model_registry import ModelRegistry, ModelStage
from mlops_site.core import face, teams
from mlops_site.core.permissions import Actor
from registry import services
from registry.models import PromotionRequest

random = np.random.default_rng(5)
rows = pd.DataFrame({"age": random.normal(50, 9, 2000), "amount": random.gamma(2, 100, 2000)})
registry = ModelRegistry()

def add(number, limit):
    model = LogisticRegression(max_iter=limit).fit(rows, rows.age > 50)
    about = {"model_name": "fraud_detection", "version": number, "sample": rows, "config": {"max_iter": limit}}
    registry.register_model(model_obj=model, **about)
    registry.promote_model(model_name="fraud_detection", version=number, target_stage=ModelStage.STAGING)

def approve():
    registry.promote_model(model_name="fraud_detection", version="1.2.0", target_stage=ModelStage.PRODUCTION)
    other = teams.create_user("approver", role="approver", team=face.LOCAL_TEAM)[0]
    request = PromotionRequest.objects.get()
    services.review_request(request, actor=Actor.of(other), decision="approve", comment="looked at")

add("1.2.0", 200)
face.call(approve)
add("1.3.0", 300)
"""
IMPORTS = "from abtesting.ab_testing import ab_test, create_ab_test, create_ab_test_sync"
EXAMPLE = """ab_test = await create_ab_test(
    model_name="fraud_detection",
    version_a="1.2.0",  # Current production
    version_b="1.3.0",  # New candidate
    traffic_split=0.1,  # 10% to new model
    success_metrics=['f1_score', 'precision']
)
"""
SAID = """
print(ab_test.model_name, ab_test.version_a, ab_test.version_b, ab_test.traffic_split, ab_test.success_metrics)
print(ab_test.status, ab_test.mode, {ab_test.assign(f"person {n}").arm for n in range(99)})
found = ab_test.results()
print(found.status, found.verdict, [arm.version for arm in found.arms], found.srm.ok)
print(ab_test.change_split(0.25, reason="nothing broke").traffic_split)
done = ab_test.conclude(reason="the quarter is over")
print(done.status, done.verdict, done.request, ab_test.conclude(reason="again") == done)
"""
EXPECTED = [
    "fraud_detection 1.2.0 1.3.0 0.1 ['f1_score', 'precision']",
    "running ab {'a', 'b'}",
    "running blocked ['1.2.0', '1.3.0'] True",
    "0.25",
    "concluded blocked None True",
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home in which the two versions are."""
    template.put_into(home := tmp_path_factory.mktemp("prepared"))
    run(PREPARE, environment(home))
    return home


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Mapping[str, str]:
    shutil.copytree(prepared, tmp_path / "home")
    return environment(tmp_path / "home")


def environment(home: Path) -> dict[str, str]:
    """That of somebody who has just cloned the project: nothing of the site is set."""
    ours = ("STEWARD_", "DJANGO_", "TEST_", "PYTEST_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "AUDIT_KEY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "STEWARD_HOME": str(home), "PYTHONPATH": str(ROOT)}


def run(code: str, home: Mapping[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=home, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()


def same(said: list[str]) -> list[str]:
    """A set is printed in any order."""
    return [line.replace("{'b', 'a'}", "{'a', 'b'}") for line in said]


def test_the_seeds_example_runs_in_a_plain_process(home: Mapping[str, str]) -> None:
    body = "\n".join(f"    {line}" for line in EXAMPLE.splitlines())
    code = f"{IMPORTS}\nimport asyncio\nasync def main():\n{body}\n    return ab_test\n"
    assert same(run(f"{code}ab_test = asyncio.run(main())\n{SAID}", home)) == EXPECTED


def test_the_seeds_example_runs_in_a_jupyter_kernel_and_results_are_shown_as_tables(
    home: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in set(os.environ) - set(home):
        monkeypatch.delenv(name)
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in (IMPORTS, EXAMPLE, SAID, "done")])
    kernel = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    kernel.execute()
    printed = "".join(output.text for output in notebook.cells[2].outputs)
    assert same(printed.strip().splitlines()) == EXPECTED
    shown = notebook.cells[3].outputs[0].data["text/html"]
    assert "<h4>concluded: blocked</h4><p>too few: 0 units of an arm have a label" in shown
    assert "<td>f1_score</td>" in shown


def test_without_a_loop_and_what_the_api_refuses_is_refused(home: Mapping[str, str]) -> None:
    code = f"""{IMPORTS}
from mlops_site.core.errors import StewardError

def ask(**changes):
    given = {{"model_name": "fraud_detection", "version_a": "1.2.0", "version_b": "1.3.0", "traffic_split": 0.1}}
    try:
        return create_ab_test_sync(**{{**given, "success_metrics": ["recall"], **changes}})
    except StewardError as error:
        print(error.status, error.code)

ask(traffic_split=1.5)
ask(success_metrics=["charm"])
ask(version_b="9.9.9")
ask(model_name="nobody")
made = ask(mode="shadow", traffic_split=None, name="silently", min_samples=50)
print(made.mode, made.traffic_split, made.assign("person 1"), ab_test(made.id) == made)
ask()
print(made.stop(reason="enough").status, ab_test(made.id).traffic_split)
"""
    assert run(code, home) == [
        "422 out_of_range",
        "422 unknown_metric",
        "404 unknown_version",
        "404 unknown_model",
        "shadow 1.0 Assigned(arm='a', version='1.2.0') True",
        "409 experiment_running",
        "stopped None",
    ]
