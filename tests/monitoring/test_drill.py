"""Many faults over 200,000 logged predictions of a whole site of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import ROOT


@pytest.mark.slow
@pytest.mark.broker
def test_200000_acknowledged_predictions_are_kept_once_under_kills_flushes_and_crashes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.monitoring.drill"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    assert "200,000 rows" in done.stdout
    assert done.stdout.count("crashed") == 3
