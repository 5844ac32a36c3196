"""The notebook face, as the seed shows it: in a plain process and in a Jupyter kernel, embedded, without a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from mlops_site.stats import compare
from monitoring.model_monitoring import drift, estimate
from tests import template

new_notebook: Any = nbformat.v4.new_notebook
new_code_cell: Any = nbformat.v4.new_code_cell
ROOT = Path(__file__).resolve().parents[2]
REGISTER = """
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from registry.model_registry import ModelRegistry
from monitoring.model_monitoring import ModelMonitor

random = np.random.default_rng(5)
baseline_data = pd.DataFrame({"age": random.normal(50, 9, 2000), "amount": random.gamma(2, 100, 2000), "<i>": 1.0})
recent_data = baseline_data.assign(age=baseline_data.age + 6).head(800)
feature_list = ["age", "amount"]
model = LogisticRegression().fit(baseline_data, baseline_data.age > 50)
ModelRegistry().register_model(model_name="fraud_detection", model_obj=model, sample=baseline_data, version="1.2.0")
monitor = ModelMonitor()
"""
EXAMPLE = """monitoring_results = await monitor.monitor_model(
    model_name="fraud_detection",
    model_version="1.2.0",
    current_data=recent_data,
    reference_data=baseline_data,
    feature_columns=feature_list
)
"""
SAID = """
found = monitoring_results
print(found.model_version, found.samples, found.drift.drifted, found.drift.total, found.drift.severity)
print([(f.name, f.drifted) for f in found.drift.features], [(a.rule, a.severity, a.count) for a in found.alerts])
"""
EXPECTED = ["1.2.0 800 1 2 medium", "[('age', True), ('amount', False)] [('drift', 'high', 1)]"]


@pytest.fixture
def home(tmp_path: Path) -> Mapping[str, str]:
    """The environment of somebody who has just started: nothing of the site is set."""
    template.put_into(tmp_path)
    ours = ("STEWARD_", "DJANGO_", "TEST_", "PYTEST_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "AUDIT_KEY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "STEWARD_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}


def run(code: str, home: Mapping[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=home, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng(1)
    before = pd.DataFrame({"age": random.normal(50, 9, 3000), "<b>": random.choice(["a", "b"], 3000), "gone": None})
    return before.assign(age=before["age"] + 4), before


def test_drift_is_that_of_the_statistics_and_shown_as_a_table_with_the_largest_effect_first() -> None:
    current, before = frames()
    found, known = drift(current, before), compare.drift(current, before)
    assert vars(found) == vars(known)
    assert (found.drifted, found.features[0].drifted) == (1, True)
    shown = found._repr_html_()
    rows = shown.split("<tr>")[2:]
    assert [row.split("</td>")[0] for row in rows] == ["<td>age", "<td>&lt;b&gt;", "<td>gone"]
    assert f"Drift score {found.overall_score:.3f}" in shown
    assert "1 of 3 features drifted" in shown
    assert drift(current, before, threshold=0.9).drifted == 0


def test_a_wide_frame_is_shown_by_its_largest_effects_and_hostile_names_are_text() -> None:
    random = np.random.default_rng(2)
    names = ["<script>alert(1)</script>", "=1+1", "x" * 500, *(f"x{i}" for i in range(60))]
    before = pd.DataFrame({name: random.normal(0, 1, 500) for name in names})
    found = drift(before.assign(x7=before["x7"] + 3), before)
    shown, said = found._repr_html_(), repr(found)
    assert shown.count("<tr>") == 31
    assert "<p>and 33 more</p>" in shown
    assert len(shown) < 12_000
    assert "<script" not in shown
    assert "style" not in shown  # a notebook's theme, light or dark, gives it colours
    assert [line.split()[0] for line in said.splitlines()[1:2]] == ["x7"]
    assert said.splitlines()[-1] == "and 53 more in .features"
    assert max(map(len, said.splitlines())) < 160


def test_drift_needs_neither_set_up_nor_database(home: Mapping[str, str], tmp_path: Path) -> None:
    code = """
import sys
import pandas as pd
from monitoring.model_monitoring import drift, estimate
before = pd.DataFrame({"age": range(500)})
print(drift(before + 100, before).features[0].statistic)
print([name for name in ("sklearn", "mlflow", "optuna", "plotly", "shap") if name in sys.modules])
"""
    assert run(code, {**home, "STEWARD_HOME": str(tmp_path / "none")}) == ["0.2", "[]"]
    assert not (tmp_path / "none/steward.sqlite3").exists()


def test_the_seeds_example_runs_in_a_plain_process(home: Mapping[str, str]) -> None:
    body = "\n".join(f"    {line}" for line in EXAMPLE.splitlines())
    code = f"{REGISTER}\nimport asyncio\nasync def main():\n{body}\n    return monitoring_results\n"
    assert run(f"{code}monitoring_results = asyncio.run(main())\n{SAID}", home) == EXPECTED


def test_the_seeds_example_runs_in_a_jupyter_kernel_and_is_shown_as_tables(
    home: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in set(os.environ) - set(home):
        monkeypatch.delenv(name)
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    cells = [REGISTER, EXAMPLE, SAID, "monitoring_results", "monitoring_results.drift", "print(monitoring_results)"]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    kernel = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    kernel.execute()
    assert notebook.cells[2].outputs[0].text.strip().splitlines() == EXPECTED
    whole, part = (cell.outputs[0].data["text/html"] for cell in notebook.cells[3:5])
    plain = notebook.cells[5].outputs[0].text.splitlines()
    assert plain[0] == "fraud_detection 1.2.0: 800 rows"
    assert "drifted" in plain[2]
    assert plain[-1].startswith("high alert: ")
    assert notebook.cells[3].outputs[0].data["text/plain"] == "\n".join(plain)
    assert "<h4>fraud_detection 1.2.0: 800 rows</h4>" in whole
    assert "<td>drift</td>" in whole
    assert "1 of 2 features drifted" in part


def test_a_second_look_counts_the_alert_up_and_what_the_api_refuses_is_refused(home: Mapping[str, str]) -> None:
    code = f"""{REGISTER}
from mlops_site.core.errors import StewardError

def look(current=recent_data, reference=baseline_data, **changes):
    given = {{"model_name": "fraud_detection", "model_version": "1.2.0", **changes}}
    try:
        return monitor.monitor_model_sync(current_data=current, reference_data=reference, **given)
    except StewardError as error:
        print(error.status, error.code)

print([look(feature_columns=feature_list).alerts[0].count for _ in range(2)])
few = look(recent_data.head(20))
print(few.notes, few.drift.severity, few.alerts)
look(model_version="9.9.9")
look(model_name="nobody")
"""
    counts, few, *refused = run(code, home)
    assert counts == "[1, 2]"
    assert few == "['too few rows (20 of at least 100)'] unknown []"
    assert [line.split()[0] for line in refused] == ["404", "404"]


def test_two_frames_of_scores_are_estimated_without_a_model() -> None:
    random = np.random.default_rng(3)
    held, recent = random.beta(2, 3, 3_000), random.beta(3, 3, 1_000)
    found = estimate(recent, held, random.random(3_000) < held, threshold=0.4)
    by_name = {one.name: one for one in found}
    truth = random.random(1_000) < recent
    assert by_name["accuracy"].value == pytest.approx((truth == (recent >= 0.4)).mean(), abs=0.04)
    assert "<td>f1_score</td>" in found._repr_html_()
    assert len(found) == 7
    with pytest.raises(ValueError, match="score must be numbers between 0 and 1"):
        estimate([0.2, np.nan], held, random.random(3_000) < held)
    with pytest.raises(ValueError, match="takes 100 held-out rows"):
        estimate(recent, held[:50], held[:50] > 0.5)
