"""Files that somebody might upload to run code, read files, or take the site down. Each is built when it is asked
for, and whatever code one carries would write a marker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.registry.hostile import archives, graphs, pickles

Build = Callable[[Path], bytes]

FILES: dict[str, tuple[Build, str]] = {**pickles.FILES, **archives.FILES, **graphs.FILES}
"""Name of the file -> how it is built, given the marker; and the code of its refusal."""

CARRIES_CODE = pickles.CARRIES_CODE


def form_of(name: str) -> str:
    """The format that somebody who writes rows himself would claim."""
    return "onnx" if name.endswith(".onnx") else "skops"
