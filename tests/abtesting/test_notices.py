"""Who is told that a challenger begins to answer claims."""

from __future__ import annotations

from typing import Any

import pytest

from abtesting import services
from mlops_site.core.models import Delivery, Notification
from monitoring.services import create_channel
from tests.abtesting.lab import Lab
from tests.people import actor

pytestmark = pytest.mark.django_db


def told() -> list[dict[str, Any]]:
    return [row.body for row in Delivery.objects.filter(event="experiment.live")]


def test_the_owner_and_the_reviewers_are_told_what_begins_to_answer_claims(lab: Lab, settings: Any) -> None:
    settings.APPROVAL_WEBHOOK_URL = "http://127.0.0.1:9/hook"
    actor("vera", "viewer")
    other = actor("emil", "ml_engineer")
    experiment = services.create_experiment(
        actor=other,
        model_name=lab.model.name,
        version_a=lab.a.number,
        version_b=lab.b.number,
        metrics=["recall"],
        design="ramp",
        steps=[0.02, 0.5],
    )
    (body,) = told()
    assert [each["name"] for each in body["to"]] == ["ben-high_cost", "eva-high_cost"]
    about = (body["model"], body["mode"], body["version_b"], body["share_b"], body["started_by"])
    assert about == ("high_cost", "ramp", "1.1.0", 0.02, "emil")
    assert body["url"] == f"/experiments/{experiment.pk}"
    assert Delivery.objects.get(event="experiment.live").subject == experiment.subject


def test_whoever_starts_it_and_whoever_left_is_not_told(lab: Lab, settings: Any) -> None:
    settings.APPROVAL_WEBHOOK_URL = "http://127.0.0.1:9/hook"
    lab.start()
    assert [each["name"] for each in told()[0]["to"]] == ["ben-high_cost"]


def test_nobody_is_told_of_a_shadow_test_or_where_the_operator_wants_no_calls(lab: Lab, settings: Any) -> None:
    settings.APPROVAL_WEBHOOK_URL = "http://127.0.0.1:9/hook"
    shadow = lab.start(design="shadow", traffic_split=None)
    services.stop_experiment(shadow, actor=lab.engineer, reason="enough")
    settings.APPROVAL_WEBHOOK_URL = ""
    lab.start()
    assert told() == []


def test_the_channels_of_the_team_and_inboxes_are_told_too(lab: Lab, settings: Any) -> None:
    settings.APPROVAL_WEBHOOK_URL = ""
    fields = {"name": "claims room", "address": "https://hooks.example.com/x", "min_severity": "medium"}
    create_channel(actor=lab.engineer, kind="webhook", fields=fields)
    experiment = lab.start()
    (body,) = told()
    assert (body["severity"], body["version"], body["model"], "to" in body) == ("medium", "1.1.0", "high_cost", False)
    assert body["summary"].startswith("1.1.0 begins to answer claims beside 1.0.0")
    lines = Notification.objects.filter(subject=experiment.subject)
    assert [line.recipient.username for line in lines] == ["ben-high_cost"]
