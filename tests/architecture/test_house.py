"""The size budget and the rules of the lock, read from the files in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.processes import ROOT

FILE_LINES = 500
FUNCTION_LINES = 50


def tracked(*patterns: str) -> list[str]:
    """The repository's files by git's patterns, with those that are not yet added and without ignored ones."""
    options = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", *patterns]
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", *options],  # a checkout may belong to another user than its tests
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


SOURCES = [name for name in tracked("*.py") if "/migrations/" not in name]


def oversized(source: str) -> list[str]:
    """The functions longer than the budget, as `name:line (lines)`.

    >>> oversized("def f():\\n" + "    x = 1\\n" * 49)
    []
    >>> oversized("def f():\\n" + "    x = 1\\n" * 50)
    ['f:1 (51)']
    """
    functions = (
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    sizes = ((node, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions)
    return [f"{node.name}:{node.lineno} ({size})" for node, size in sizes if size > FUNCTION_LINES]


@pytest.mark.parametrize("name", SOURCES)
def test_files_and_functions_keep_to_the_budget(name: str) -> None:
    source = (ROOT / name).read_text()
    assert source.count("\n") <= FILE_LINES
    assert not oversized(source)


def test_own_style_sheets_stay_small() -> None:
    assert sum((ROOT / name).read_text().count("\n") for name in tracked("static/css/*.css")) < 300


def test_the_lock_names_no_host_and_hashes_every_package() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.findall(r"[a-z+]+://\S+|^\s*-(?:i|f|-index-url|-extra-index-url|-find-links)\b.*", lock, re.MULTILINE)
    pinned = re.findall(r"^([a-z0-9._-]+)==(.*\n(?: .*\n)*)", lock, re.MULTILINE)
    assert len(pinned) > 50
    assert not [name for name, rest in pinned if "--hash=sha256:" not in rest]


def test_the_lock_has_every_package_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    wanted = {re.split(r"[\[<>=;! ]", spec)[0].lower() for spec in named}
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert wanted <= locked


def test_no_large_file_is_in_the_repository() -> None:
    large = {name for name in tracked() if Path(ROOT / name).stat().st_size > 2_000_000}
    assert not large
