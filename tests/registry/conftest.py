"""People with fixed roles, and models and versions made through the services."""

from __future__ import annotations

import pytest

from mlops_site.core.permissions import Actor
from registry import services
from registry.models import PromotionRequest, RegisteredModel, Version
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.http import Person
from tests.registry.parts import candidate


@kept_fixture
def author(db: None) -> Actor:
    """Registers, requests and moves."""
    return actor("author", "ml_engineer")


@kept_fixture
def model(author: Actor) -> RegisteredModel:
    return services.create_model(actor=author, name="claims", task_type="classification")


@kept_fixture
def version(model: RegisteredModel, author: Actor) -> Version:
    """1.0.0, in development."""
    return services.register_version(model, actor=author, candidate=candidate())


@kept_fixture
def staged(version: Version, author: Actor) -> Version:
    """1.0.0, in staging."""
    services.move_stage(version, actor=author, target_stage="staging", reason="looks good")
    return version


@kept_fixture
def request_(staged: Version, author: Actor) -> PromotionRequest:
    """A pending request for 1.0.0."""
    return services.request_promotion(staged, actor=author, reason="better than nothing")


@kept_fixture
def approver(db: None) -> Actor:
    return actor("approver", "approver")


@kept_fixture
def served(request_: PromotionRequest, approver: Actor) -> Version:
    """1.0.0, in production."""
    return services.review_request(request_, actor=approver, decision="approve").version


@kept_fixture
def validator(db: None) -> Actor:
    return actor("validator", "validator")


@kept_fixture
def outsider(db: None) -> Actor:
    """An approver, but of another team."""
    return actor("outsider", "approver", team="elsewhere")


@pytest.fixture
def engineer(author: Actor) -> Person:
    return Person(author)


@pytest.fixture
def decider(approver: Actor) -> Person:
    return Person(approver)


@pytest.fixture
def stranger(outsider: Actor) -> Person:
    return Person(outsider)
