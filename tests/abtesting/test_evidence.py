"""A promotion request carries what a concluded experiment says of the version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from abtesting.choices import Ending, Status, Verdict
from abtesting.models import Experiment
from abtesting.selectors.evidence import experiment_evidence
from abtesting.selectors.results import as_json, results
from mlops_site.core import events
from mlops_site.core.permissions import Actor
from registry import services
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.registry.parts import candidate, user

pytestmark = pytest.mark.django_db


@kept_fixture
def challenger(served: Version, model: RegisteredModel, author: Actor) -> Version:
    version = services.register_version(model, actor=author, candidate=candidate(1))
    services.move_stage(version, actor=author, target_stage="staging", reason="ready")
    return version


def concluded(a: Version, b: Version, author: Actor, name: str = "newer", **changes: Any) -> Experiment:
    experiment = Experiment.objects.create(
        model=a.model, version_a=a, version_b=b, name=name, design="ab", metrics=["accuracy"], min_samples=100,
        salt="x", created_by=user(author), started_at=timezone.now() - timedelta(days=9),
    )  # fmt: skip
    experiment.result = as_json(results(experiment))
    experiment.result_digest = events.digest_of(experiment.result)
    parts = {"status": Status.CONCLUDED, "ending": Ending.CONCLUDED, "ended_by": user(author)}
    parts |= {"verdict": Verdict.SHIP_B, "ended_at": timezone.now()}
    for field, value in {**parts, **changes}.items():
        setattr(experiment, field, value)
    experiment.save()
    return experiment


def test_the_newest_one_against_what_is_in_production(served: Version, challenger: Version, author: Actor) -> None:
    assert experiment_evidence(challenger) == {}
    concluded(served, challenger, author, "first", ended_at=timezone.now() - timedelta(days=1))
    last = concluded(served, challenger, author, "second")
    said = experiment_evidence(challenger)["experiment"]
    assert (said["name"], said["digest"], said["concluded_by"]) == ("second", last.result_digest, "author")
    assert said["reason"].startswith("too few")


def test_one_against_another_version_says_nothing(served: Version, challenger: Version, author: Actor) -> None:
    old = services.register_version(served.model, actor=author, candidate=candidate(2))
    concluded(old, challenger, author)
    concluded(challenger, served, author, "the other way round")
    assert experiment_evidence(challenger) == {}


def test_nor_one_that_was_stopped_or_still_runs(served: Version, challenger: Version, author: Actor) -> None:
    stopped = {"status": Status.STOPPED, "ending": Ending.STOPPED, "verdict": ""}
    concluded(served, challenger, author, **stopped)
    running = {"status": Status.RUNNING, "ending": "", "verdict": "", "ended_at": None, "result": None}
    concluded(served, challenger, author, "running", **running)
    assert experiment_evidence(challenger) == {}


def test_a_request_carries_it_and_its_page_shows_it(
    served: Version, challenger: Version, author: Actor, client: Client
) -> None:
    experiment = concluded(served, challenger, author)
    request = services.request_promotion(challenger, actor=author, reason="better")
    assert request.evidence["experiment"]["digest"] == experiment.result_digest
    assert request.evidence_digest == events.digest_of(request.evidence)
    client.force_login(user(author))
    page = client.get(reverse("admin:registry_promotionrequest_change", args=[request.pk]))
    assert page.status_code == 200
    assert 'id="experiment"' in page.content.decode()
    assert "Concluded by author" in page.content.decode()


def test_without_one_there_is_no_such_section(challenger: Version, author: Actor, client: Client) -> None:
    request = services.request_promotion(challenger, actor=author, reason="better")
    assert "experiment" not in request.evidence
    client.force_login(user(author))
    page = client.get(reverse("admin:registry_promotionrequest_change", args=[request.pk]))
    assert 'id="experiment"' not in page.content.decode()
