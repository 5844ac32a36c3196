"""What a run says it was made with."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.services import origin


@pytest.fixture
def tree(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """A repository of one committed file, as the project's folder."""
    settings.BASE_DIR = tmp_path
    (tmp_path / "requirements.lock").write_text("numpy==2\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "One"]):
        subprocess.run([*git, *arguments], check=True)
    _forget()
    yield tmp_path
    _forget()


def _forget() -> None:
    for remembered in (origin.code, origin.diff, origin.lock_digest):
        remembered.cache_clear()


def test_a_clean_tree_is_its_commit(tree: Path) -> None:
    made = origin.made_with()
    assert len(made["code"]) == 40
    assert (made["diff"], made["diff_digest"]) == ("", "")
    assert made["packages"]["numpy"] == np.__version__


def test_a_dirty_tree_is_kept_as_a_diff_that_git_takes(tree: Path) -> None:
    path = tree / "requirements.lock"
    path.write_text("numpy==3\n")
    made = origin.made_with()
    assert made["code"].endswith("+dirty")
    assert hashlib.sha256(made["diff"].encode()).hexdigest() == made["diff_digest"]
    subprocess.run(["git", "-C", str(tree), "checkout", "-q", "."], check=True)
    subprocess.run(["git", "-C", str(tree), "apply"], input=made["diff"], text=True, check=True)
    assert path.read_text() == "numpy==3\n"


def test_a_long_diff_is_cut_and_what_no_database_takes_is_replaced(tree: Path) -> None:
    lines = b"x" * 9000 + b"\n" + b"\x00\xff" + b"y" * origin.DIFF_CHARS
    (tree / "requirements.lock").write_bytes(lines)
    (tree / ".gitattributes").write_text("*.lock diff\n")
    made = origin.made_with()
    assert len(made["diff"]) == origin.DIFF_CHARS
    assert "\x00" not in made["diff"]
    assert "\ufffd\ufffd" in made["diff"]
    assert len(made["diff_digest"]) == 64
