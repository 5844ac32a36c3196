"""Many faults over ten runs of a whole site of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import ROOT


@pytest.mark.slow
@pytest.mark.broker
def test_every_run_completes_once_under_kills_flushes_and_restarts() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.drill"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    assert "10 runs, {'kill': 20, 'flush': 5, 'restart': 3}" in done.stdout
