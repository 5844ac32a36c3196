"""What training says in the evidence of a promotion."""

from __future__ import annotations

import pytest

from registry import services
from tests.factories import Scene
from tests.kept import kept_fixture
from tests.training.runs import GATE
from training.models import Run

pytestmark = pytest.mark.django_db


@kept_fixture
def site(shared_scene: Scene) -> Scene:
    return shared_scene


def test_the_gate_of_the_run_is_in_a_request_that_a_person_files(site: Scene) -> None:
    verdict = {**GATE, "passed": False}
    Run.objects.filter(pk=site.run.pk).update(version=site.staged, gate=verdict)
    services.withdraw_request(site.request, actor=site.author)
    asked = services.request_promotion(site.staged, actor=site.author, reason="Again.", why_material="It is better.")
    assert asked.evidence["gate"] == verdict


def test_nobody_can_say_that_a_gate_passed_which_did_not(site: Scene) -> None:
    Run.objects.filter(pk=site.run.pk).update(version=site.staged, gate={**GATE, "passed": False})
    services.withdraw_request(site.request, actor=site.author)
    asked = services.request_promotion(
        site.staged, actor=site.author, reason="Again.", why_material="It is better.", evidence={"gate": GATE}
    )
    assert asked.evidence["gate"]["passed"] is False
