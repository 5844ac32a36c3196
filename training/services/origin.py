"""What code and which packages a run was made with, so that it can be run again."""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache

from django.conf import settings

UNKNOWN = "unknown"


@cache
def code() -> str:
    """The commit of the running code, with "+dirty" when tracked files differ from it; "unknown" outside git."""
    commit = _git("rev-parse", "HEAD").strip()
    if not commit:
        return UNKNOWN
    return f"{commit}+dirty" if _git("status", "--porcelain", "--untracked-files=no") else commit


@cache
def lock_digest() -> str:
    """sha256 of requirements.lock, in hex."""
    return hashlib.sha256((settings.BASE_DIR / "requirements.lock").read_bytes()).hexdigest()


def _git(*arguments: str) -> str:
    """What git says about the project's folder; nothing when there is no git or no repository."""
    command = ["git", "--no-optional-locks", "-C", str(settings.BASE_DIR), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
