"""A registered version of a small team."""

from __future__ import annotations

from mlops_site.core.permissions import Actor
from registry import services
from registry.models import Version
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.parts import candidate


@kept_fixture
def author(db: None) -> Actor:
    return actor("author", "ml_engineer")


@kept_fixture
def watched(author: Actor) -> Version:
    """A version whose production is watched."""
    model = services.create_model(actor=author, name="high_cost", task_type="classification")
    return services.register_version(model, actor=author, candidate=candidate())
