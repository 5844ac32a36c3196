"""How a benchmark keeps what it found: NAME.json for programs and NAME.md for people, in results/."""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def about(name: str) -> dict[str, Any]:
    """How the figures came about: command, date and machine."""
    return {
        "command": f"python -m benchmarks.{name}",
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def keep(name: str, title: str, tables: list[list[list[str]]], notes: dict[str, Any], figures: Any) -> None:
    """Write and print them. Every table is a list of rows, the first its heads."""
    lines = [f"# {title}", ""]
    for table in tables:
        heads, *rows = table
        lines += [_line(heads), _line(["---"] * len(heads)), *map(_line, rows), ""]
    lines += [f"- {key}: {value}" for key, value in notes.items()]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({**notes, "figures": figures}, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
