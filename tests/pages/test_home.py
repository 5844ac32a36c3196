"""Home says what needs the person."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlops_site.core.models import User
from mlops_site.core.permissions import Actor
from mlops_site.core.templatetags import steward
from mlops_site.pages import home
from mlops_site.pages.traffic import NOTHING, Traffic, together
from monitoring.models import Bucket, Report
from monitoring.services import acknowledge_alert, resolve_alert, silence_alert
from registry import services as registry
from tests.factories import OTHER_TEAM, Scene
from tests.traffic import bucket
from tests.training import runs

LogIn = Callable[[Actor], Client]


def text_of(client: Client, path: str = "/") -> str:
    return client.get(path).content.decode()


def test_an_approver_is_told_what_waits(site: Scene, as_: LogIn) -> None:
    said = text_of(as_(site.approver))
    assert "Three things need you." in said
    assert f"Approve {site.staged}" in said
    assert f"{site.incident.version}: {site.incident.get_kind_display()}" in said
    assert "gate passed" in said


def test_an_offered_model_waits_for_the_admin_who_may_take_it_over(site: Scene, as_: LogIn) -> None:
    """They do not see the model, so this is the only way to the page of the offer."""
    offered = registry.offer_transfer(site.model, actor=site.admin, to_team=OTHER_TEAM, reason="They own claims now.")
    theirs = as_(Actor.of(User.objects.get(username="yan")))
    assert reverse("transfer", args=[offered.pk]) in text_of(theirs)
    assert reverse("transfer", args=[offered.pk]) not in text_of(as_(site.outsider))


def test_the_requester_sees_that_others_must_decide(site: Scene, as_: LogIn) -> None:
    said = text_of(as_(site.author))
    assert f"Approve {site.staged}" not in said
    assert "You wait for others" in said


def test_an_alert_needs_those_who_may_handle_it_until_somebody_looks(site: Scene, as_: LogIn) -> None:
    assert "One thing needs you." in text_of(as_(site.scientist))
    assert site.alert.summary in text_of(as_(site.scientist))
    assert "Nothing needs you." in text_of(as_(site.auditor))  # who may not handle it
    assert "Nothing needs you." in text_of(as_(site.outsider))
    silence_alert(site.alert, actor=site.author, hours=1, comment="Known.")
    assert "Nothing needs you." in text_of(as_(site.scientist))


def test_an_alert_that_somebody_has_is_no_longer_waiting(site: Scene, as_: LogIn) -> None:
    acknowledge_alert(site.alert, actor=site.author, comment="Mine.")
    assert "Nothing needs you." in text_of(as_(site.scientist))


def test_the_fleet_shows_health_drift_and_alerts(site: Scene, as_: LogIn) -> None:
    bucket(site.served, hours_ago=20, rows=300, labelled=1)
    (line,) = as_(site.author).get(reverse("home")).context["fleet"]
    assert line.health.status == "drifting"
    assert (line.open.number, line.open.worst) == (1, "high")
    assert (line.traffic.predictions, line.report.overall_score) == (330, 0.22)
    assert sum(line.traffic.by_hour) == 330
    assert len(line.traffic.line.split()) == 25


def test_a_version_that_was_asked_nothing_is_not_called_healthy(site: Scene, as_: LogIn) -> None:
    """However much the versions before it were asked."""
    resolve_alert(site.alert, actor=site.author, comment="Done.")
    bucket(site.staged, hours_ago=2, rows=300, labelled=1)
    Bucket.objects.filter(version=site.served).delete()
    (line,) = as_(site.author).get(reverse("home")).context["fleet"]
    assert (line.health.status, line.traffic.predictions) == ("no predictions", 300)


def test_the_fleet_compares_what_was_realised_with_what_was_promised(site: Scene, as_: LogIn) -> None:
    body = {"performance": {"realised": [{"name": "roc_auc", "value": 0.70, "ci95": [0.6, 0.8], "n": 90}]}}
    now = timezone.now()
    window = {"window_from": now - timedelta(hours=1), "window_to": now, "samples": 90, "severity": "low"}
    Report.objects.create(model=site.model, version=site.served, overall_score=0.01, body=body, **window)
    (line,) = as_(site.author).get(reverse("home")).context["fleet"]
    assert (line.value, round(line.change, 3)) == (0.70, -0.031)


def test_models_that_serve_come_first(site: Scene, as_: LogIn) -> None:
    registry.create_model(actor=site.author, name="another", task_type="regression")
    lines = as_(site.author).get(reverse("home")).context["fleet"]
    assert [(line.line.model.name, line.health is None) for line in lines] == [
        ("high_cost_claim", False),
        ("another", True),
    ]


def test_traffic_of_models_adds_up() -> None:
    one, two = Traffic(30, 1, 3, 2.0, 1.5, [10, 20]), Traffic(10, 0, 0, 6.0, 5.0, [10, 0])
    assert together([one, two, NOTHING]) == Traffic(40, 1, 3, 3.0, None, [20, 20])
    assert together([one]).median_ms == 1.5
    assert together([]) == NOTHING


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
