"""The logins of the demo: one a role, made for this install, passwords printed once."""

from __future__ import annotations

from typing import NamedTuple

TEAM = "claims-analytics"
PEOPLE = {
    "scientist": "data_scientist",
    "engineer": "ml_engineer",
    "approver": "approver",
    "validator": "validator",
    "auditor": "auditor",
    "admin": "admin",
    "claims-app": "service",
}


class Person(NamedTuple):
    name: str
    role: str
    password: str  # empty for a machine, and for somebody who already had one
    token: str


def make() -> dict[str, Person]:
    """Everybody with a fresh token. Django must be set up and the database migrated."""
    from mlops_site.core import teams, tokens

    made = {}
    for name, role in PEOPLE.items():
        user, password = teams.create_user(name, role=role, team=TEAM)
        made[name] = Person(name, role, password, tokens.create_token(user, days=1)[1])
    return made
