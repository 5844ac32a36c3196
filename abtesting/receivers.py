"""What follows from facts below."""

from __future__ import annotations

from typing import Any

from abtesting import services
from registry.models import StageInterval, Version


def stop_experiment_of(*, version: Version, stage: str, before: str, interval: StageInterval, **_: Any) -> None:
    """A version that an experiment rests on has left its place: in that transaction."""
    services.stop_for_version(version, before=before, stage=stage, interval=interval)
