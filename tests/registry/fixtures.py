"""Fixtures of a model in production; a conftest that wants them imports them."""

from __future__ import annotations

from mlops_site.core.permissions import Actor
from registry import services
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.parts import into_production


@kept_fixture
def author(db: None) -> Actor:
    return actor("author", "ml_engineer")


@kept_fixture
def model(author: Actor) -> RegisteredModel:
    return services.create_model(actor=author, name="high_cost", task_type="classification")


@kept_fixture
def approver(db: None) -> Actor:
    return actor("approver", "approver")


@kept_fixture
def served(model: RegisteredModel, author: Actor, approver: Actor) -> Version:
    """1.0.0, in production."""
    return into_production(model, author=author, approver=approver, seed=0)
