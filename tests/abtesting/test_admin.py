"""Experiments in the admin: looked at by the team, ended by the same services."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from abtesting.models import Experiment
from mlops_site.core.permissions import Actor
from tests.abtesting.lab import Lab
from tests.people import actor
from tests.registry.parts import user

pytestmark = pytest.mark.django_db
LIST = "admin:abtesting_experiment_changelist"


def browser(who: Actor) -> Client:
    client = Client()
    client.force_login(user(who))
    return client


def act(who: Actor, action: str, *rows: Experiment, reason: str = "the plan is fulfilled") -> str:
    """What the page says after an action."""
    sent = {"action": action, "_selected_action": [row.pk for row in rows], "reason": reason}
    return browser(who).post(reverse(LIST), sent, follow=True).content.decode()


def test_the_team_sees_its_own_and_all_that_was_asked(lab: Lab) -> None:
    experiment = lab.start(hypothesis="It finds more.")
    theirs = Lab(name="theirs", team="others").start(name="secret")
    vera = browser(actor("vera", "viewer"))
    page = vera.get(reverse(LIST)).content.decode()
    assert "1.1.0 against 1.0.0" in page
    assert "secret" not in page
    one = vera.get(reverse("admin:abtesting_experiment_change", args=[experiment.pk])).content.decode()
    assert "It finds more." in one
    assert "1. 50.0% in B from" in one
    assert vera.get(reverse("admin:abtesting_experiment_change", args=[theirs.pk])).status_code == 302
    assert "_save" not in one


def test_stop_and_conclude_are_the_services(lab: Lab) -> None:
    first = lab.start()
    assert "reason must say why but is empty" in act(lab.engineer, "stop", first, reason=" ")
    assert "is stopped; all units go back to A" in act(lab.engineer, "stop", first)
    row = Experiment.objects.get()
    assert (row.status, row.end_reason, row.ended_by) == ("stopped", "the plan is fulfilled", lab.engineer.user)
    second = lab.start()
    said = act(lab.engineer, "conclude", first, second)
    assert "is concluded: blocked" in said
    assert "experiment_ended" not in said
    assert f"experiment {first.pk} is stopped without a verdict" in said
    assert Experiment.objects.get(pk=second.pk).verdict == "blocked"


def test_who_may_not_is_told_so_and_nothing_happens(lab: Lab) -> None:
    experiment = lab.start()
    assert "experiment.live in team claims is not allowed" in act(lab.scientist, "stop", experiment)
    act(actor("vera", "viewer"), "stop", experiment)
    act(actor("zoe", "ml_engineer", team="others"), "stop", experiment)
    assert Experiment.objects.get().is_running
