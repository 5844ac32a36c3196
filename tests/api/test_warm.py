"""Another web process has a version in memory before it is asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from abtesting.models import Epoch, Experiment
from mlops_site.api import warm
from mlops_site.core import store
from mlops_site.core.permissions import Actor
from mlops_site.serving import Question, predict
from registry import services
from registry.artifacts import scorer
from registry.models import RegisteredModel, Version
from tests.abtesting.parts import begun, challenger
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.parts import candidate, into_production

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    """As a process that has just begun."""
    scorer._cache().clear()
    warm._broken.clear()
    yield
    scorer._cache().clear()


@kept_fixture
def author(db: None) -> Actor:
    return actor("author", "ml_engineer")


@kept_fixture
def approver(db: None) -> Actor:
    return actor("approver", "approver")


@kept_fixture
def model(author: Actor) -> RegisteredModel:
    return services.create_model(actor=author, name="high_cost", task_type="classification")


def ask(author: Actor) -> str:
    return predict("high_cost", actor=author, questions=[Question({"age": 50, "visits": 1})], dry_run=True).version


def requested(model: RegisteredModel, author: Actor, seed: int) -> Any:
    version = services.register_version(model, actor=author, candidate=candidate(seed))
    services.move_stage(version, actor=author, target_stage="staging", reason="ready")
    return services.request_promotion(version, actor=author, reason="better")


def forget() -> None:
    """The process that promoted is another one than that which is asked."""
    scorer._cache().clear()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    real = store.read

    def read(digest: str) -> bytes:
        found.append(digest)
        return real(digest)

    monkeypatch.setattr(store, "read", read)
    return found


def test_what_is_requested_is_loaded_before_it_is_approved(
    model: RegisteredModel, author: Actor, approver: Actor, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requested(model, author, 1)
    assert warm.look() == [request.version]
    # The approval happens in a process of its own; what it keeps ready there is not here.
    monkeypatch.setattr("registry.services.approvals.preflight", lambda version, ready_as: scorer.preflight(version))
    services.review_request(request, actor=approver, decision="approve")
    loads.clear()
    assert ask(author) == "1.0.0"
    assert not loads
    assert warm.look() == []


def test_the_process_that_promotes_has_the_version_when_it_answers(
    model: RegisteredModel, author: Actor, approver: Actor, loads: list[str]
) -> None:
    into_production(model, author=author, approver=approver, seed=1)
    loads.clear()
    assert ask(author) == "1.0.0"
    assert not loads


def test_a_model_that_is_asked_here_can_be_rolled_back_without_a_load(
    model: RegisteredModel, author: Actor, approver: Actor, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = into_production(model, author=author, approver=approver, seed=1)
    into_production(model, author=author, approver=approver, seed=2)
    forget()
    monkeypatch.setattr(warm, "RECENT", warm.RECENT * 0)
    assert warm.look() == []  # nobody asks it here
    ask(author)
    assert warm.look() == [first]
    monkeypatch.setattr("registry.services.approvals.preflight", lambda version, ready_as: scorer.preflight(version))
    services.rollback(model, actor=approver, reason="worse")
    loads.clear()
    assert ask(author) == first.number
    assert not loads


def test_what_began_to_serve_without_a_request_is_loaded_too(
    model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    version = into_production(model, author=author, approver=approver, seed=1)
    forget()
    assert warm.look() == [version]


def test_a_challenger_that_answers_claims_is_loaded_one_that_is_silent_is_not(
    model: RegisteredModel, author: Actor, approver: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = into_production(model, author=author, approver=approver, seed=1)
    b = challenger(a, author=author, seed=2)
    forget()
    assert warm.look() == [a]
    epoch = begun(a, b, author=author)
    assert warm.look() == [b]
    now = timezone.now()
    Epoch.objects.filter(pk=epoch.pk).update(ended_at=now)
    Experiment.objects.update(status="stopped", ending="stopped", ended_at=now)
    begun(a, b, author=author, name="silent", design="shadow")
    forget()
    assert warm.look() == [a]


def test_a_damaged_version_is_tried_once_and_stops_nothing(
    model: RegisteredModel, author: Actor, approver: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    broken: Version = requested(model, author, 1).version
    other = services.create_model(actor=author, name="other", task_type="classification")
    good = requested(other, author, 2).version
    store.delete(broken.artifact_id)
    assert warm.look() == [good]
    assert warm.look() == []
    assert caplog.text.count("cannot be loaded ahead") == 1
