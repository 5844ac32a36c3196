"""What follows in the registry from facts below it."""

from __future__ import annotations

from typing import Any

from mlops_site.core.models import Team, User
from mlops_site.core.permissions import Actor
from registry.services.leavers import close_for_leaver


def close_open_business(*, user: User, team: Team, role: str | None, actor: Actor, **_: Any) -> None:
    """Somebody has left the team or got another role: in that transaction."""
    close_for_leaver(user, team=team, role=role, actor=actor)
