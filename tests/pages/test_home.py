"""Home says what needs the person."""

from __future__ import annotations

import doctest
from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from mlops_site.core.permissions import Actor
from mlops_site.core.templatetags import steward
from mlops_site.pages import home
from tests.factories import Scene
from tests.training import runs

LogIn = Callable[[Actor], Client]


def text_of(client: Client, path: str = "/") -> str:
    return client.get(path).content.decode()


def test_an_approver_is_told_what_waits(site: Scene, as_: LogIn) -> None:
    said = text_of(as_(site.approver))
    assert "One thing needs you." in said
    assert f"Approve {site.staged}" in said
    assert "gate passed" in said


def test_the_requester_sees_that_others_must_decide(site: Scene, as_: LogIn) -> None:
    said = text_of(as_(site.author))
    assert "Nothing needs you." in said
    assert "You wait for others" in said


def test_a_failed_run_needs_the_one_who_asked_for_it(site: Scene, as_: LogIn) -> None:
    runs.failed_run(site.scientist, site.model, site.dataset)
    assert "Your run of high_cost_claim failed" in text_of(as_(site.scientist))
    assert "Your run" not in text_of(as_(site.author))


def test_a_person_in_no_team_is_told_so(site: Scene, as_: LogIn) -> None:
    assert site.outsider.user is not None
    site.outsider.user.memberships.all().delete()
    assert "You are in no team yet" in text_of(as_(site.outsider))


def test_traffic_is_that_of_the_persons_teams(site: Scene, as_: LogIn) -> None:
    assert as_(site.author).get(reverse("home")).context["traffic"].predictions == 30
    assert as_(site.outsider).get(reverse("home")).context["traffic"].predictions == 0


def test_figures_and_words_are_written_as_their_examples_say() -> None:
    for module in (steward, home):
        outcome = doctest.testmod(module)
        assert outcome.attempted > 0
        assert not outcome.failed
