"""A model in production, and the machine that asks it."""

from __future__ import annotations

from mlops_site.core.permissions import Actor
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.fixtures import approver, author, model, served

__all__ = ["approver", "author", "machine", "model", "served"]


@kept_fixture
def machine(db: None) -> Actor:
    """A claims application."""
    return actor("claims-app", "service")
