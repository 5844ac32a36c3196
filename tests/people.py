"""People of fixed roles, made as the operator makes them."""

from __future__ import annotations

from mlops_site.core import teams, tokens
from mlops_site.core.models import Team, User
from mlops_site.core.permissions import Actor


def person(name: str, role: str, *, team: str = "claims") -> User:
    """A user with the role in the team, which is made if it is new."""
    return teams.create_user(name, role=role, team=team)[0]


def actor(name: str, role: str, *, team: str = "claims") -> Actor:
    """The same, as services want it."""
    return Actor.of(person(name, role, team=team))


def bearer(user: User, *, team: str | None = None, scopes: tuple[str, ...] = ()) -> dict[str, str]:
    """The header of a new token of the user, for Django's test client."""
    found = Team.objects.get(name=team) if team else None
    return {"Authorization": f"Bearer {tokens.create_token(user, team=found, scopes=scopes)[1]}"}
