"""What follows from facts: MLflow has to hear of them."""

from __future__ import annotations

from typing import Any

from registry.choices import Cause
from registry.models import StageInterval, Version
from registry.services.mirror import note_change


def note_version(*, version: Version, **_: Any) -> None:
    note_change(version)


def note_stage(*, version: Version, interval: StageInterval, **_: Any) -> None:
    if interval.cause != Cause.REGISTERED:
        note_change(version, interval)
