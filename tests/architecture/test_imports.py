"""What a process loads to start, and what it leaves until somebody needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

LATER = ("mlflow", "optuna", "sklearn", "onnx", "skops", "scipy.optimize", "scipy.special", "scipy.stats")
STARTED = """
import sys
import django
django.setup()
import mlops_site.urls
from mlops_site.celery import app
app.loader.import_default_modules()
print([name for name in sys.argv[1:] if name in sys.modules])
"""


def test_neither_web_nor_worker_loads_what_only_some_work_needs(tmp_path: Path) -> None:
    """They would take twice as long to start: so would each command and each job."""
    run = [sys.executable, "-W", "ignore", "-c", STARTED, *LATER]
    env = {"DJANGO_SETTINGS_MODULE": "mlops_site.settings", "STEWARD_HOME": str(tmp_path)}
    answer = subprocess.run(run, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "[]", answer.stderr[-500:]
