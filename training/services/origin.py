"""What code and which packages a run was made with, so that it can be run again."""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any, NamedTuple

from django.conf import settings

UNKNOWN = "unknown"
DIFF_CHARS = 100_000  # kept of a diff; its digest is of all of it
NUMERICAL = ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "optuna", "lightgbm", "xgboost", "xgboost-cpu")


class Diff(NamedTuple):
    """How the tracked files differ from the commit, cut; and the digest of the whole, both empty where they do not."""

    text: str
    digest: str


def made_with() -> dict[str, Any]:
    """The fields of a run that say what it is made with."""
    return {
        "code": code(),
        "diff": diff().text,
        "diff_digest": diff().digest,
        "lock_digest": lock_digest(),
        "packages": packages(),
    }


@cache
def code() -> str:
    """The commit of the running code, with "+dirty" when tracked files differ from it; "unknown" outside git."""
    commit = _git("rev-parse", "HEAD").strip()
    if not commit:
        return UNKNOWN
    return f"{commit}+dirty" if _git("status", "--porcelain", "--untracked-files=no") else commit


@cache
def diff() -> Diff:
    """Of a dirty tree, as `git apply` takes it unless it is cut."""
    text = _git("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", "HEAD")
    if not text:
        return Diff("", "")
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return Diff(_storable(text)[:DIFF_CHARS], digest)


def _storable(text: str) -> str:
    """PostgreSQL takes neither a zero nor what is not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\x00", "\ufffd")


@cache
def packages() -> dict[str, str]:
    """Versions of Python and of the libraries that the numbers come from, as far as they are installed."""
    found = {"python": python_version()}
    for name in NUMERICAL:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def lock_digest() -> str:
    """sha256 of requirements.lock, in hex."""
    return hashlib.sha256((settings.BASE_DIR / "requirements.lock").read_bytes()).hexdigest()


def _git(*arguments: str) -> str:
    """What git says about the project's folder; nothing when there is no git or no repository."""
    command = ["git", "--no-optional-locks", "-C", str(settings.BASE_DIR), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else ""
