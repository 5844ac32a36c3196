"""Evidently in an environment of its own, since it needs pandas below 3, and a process there to ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parent.parent
VERSION = "0.7.23"
NEEDS = (f"evidently=={VERSION}", "pandas<3", "pyarrow")
ADVICE = f"""Evidently's environment could not be made (it takes PyPI, once). Without a network, make it elsewhere alike
with `uv venv FOLDER && uv pip install --python FOLDER/bin/python {" ".join(map(repr, NEEDS))}`
and name its Python in EVIDENTLY_PYTHON, or its folder in STEWARD_BENCH_HOME as FOLDER/evidently-{VERSION}."""


class Ask(Protocol):
    """A request by name, its fields, and the answer."""

    def __call__(self, do: str, **fields: Any) -> Any: ...


def python() -> Path:
    """The Python that has Evidently: EVIDENTLY_PYTHON, or one made under STEWARD_BENCH_HOME at first use."""
    given = os.environ.get("EVIDENTLY_PYTHON")
    if given:
        return Path(given)
    home = os.environ.get("STEWARD_BENCH_HOME") or Path.home() / ".cache" / "steward-bench"
    found = Path(home) / f"evidently-{VERSION}" / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    try:
        if not found.exists():
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, found.parent.parent], check=True)
        if subprocess.run([found, "-c", "import evidently"], capture_output=True).returncode:
            subprocess.run([uv, "pip", "install", "--quiet", "--python", found, *NEEDS], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{error}\n{ADVICE}") from error
    return found


@contextmanager
def process() -> Iterator[Ask]:
    """A process of Evidently's Python that answers requests (see `_in_evidently`) until the block ends."""
    command = [str(python()), "-m", "benchmarks._in_evidently"]
    env = {**os.environ, "DO_NOT_TRACK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:

        def ask(do: str, **fields: Any) -> Any:
            assert child.stdin
            assert child.stdout
            child.stdin.write(json.dumps({"do": do, **fields}) + "\n")
            child.stdin.flush()
            answer = child.stdout.readline()
            if not answer:
                raise SystemExit(f"Evidently's process ended with status {child.wait()}; what it said is above")
            return json.loads(answer)

        yield ask
