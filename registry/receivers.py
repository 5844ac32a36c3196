"""What follows in the registry from facts below it, and from its own that MLflow has to hear of."""

from __future__ import annotations

from typing import Any

from mlops_site.core.models import Team, User
from mlops_site.core.permissions import Actor
from registry.choices import Cause
from registry.models import StageInterval, Version
from registry.services.leavers import close_for_leaver
from registry.services.mirror import note_change


def close_open_business(*, user: User, team: Team, role: str | None, actor: Actor, **_: Any) -> None:
    """Somebody has left the team or got another role: in that transaction."""
    close_for_leaver(user, team=team, role=role, actor=actor)


def note_version(*, version: Version, **_: Any) -> None:
    note_change(version)


def note_stage(*, version: Version, interval: StageInterval, **_: Any) -> None:
    if interval.cause != Cause.REGISTERED:
        note_change(version, interval)
