"""The REST face of alerts."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from mlops_site.core.models import AuditRecord, Delivery
from mlops_site.core.permissions import Actor
from monitoring.models import Alert
from registry.models import Version
from tests.monitoring.parts import EVIDENCE, finding, raised
from tests.people import actor
from tests.registry.http import Person

pytestmark = pytest.mark.django_db
ALERTS = "/monitoring/alerts"


@pytest.fixture
def engineer(author: Actor) -> Person:
    return Person(author)


def rules(answer: tuple[int, Any]) -> list[str]:
    assert answer[0] == 200, answer
    return [row["rule"] for row in answer[1]["results"]]


def test_an_alert_is_answered_with_its_evidence(engineer: Person, watched: Version) -> None:
    (alert,) = raised(watched, finding("drift", "age"))
    status, page = engineer.get(ALERTS)
    assert (status, page["count"], page["next"], page["previous"]) == (200, 1, None, None)
    (row,) = page["results"]
    first, last = row.pop("first_seen_at"), row.pop("last_seen_at")
    assert first[:4] == last[:4] == str(timezone.now().year)
    assert row == {
        "id": str(alert.pk),
        "model": "high_cost",
        "version": "1.0.0",
        "rule": "drift",
        "subject": "age",
        "severity": "high",
        "status": "open",
        "summary": "drift of age",
        "evidence": EVIDENCE,
        "report": str(alert.report_id),
        "first_report": str(alert.report_id),
        "group": str(alert.pk),
        "count": 1,
        "assignee": None,
        "escalates_at": None,
        "escalations": 0,
        "escalated_to": "",
        "clean_reports": 0,
        "acknowledged_by": None,
        "acknowledged_at": None,
        "resolved_by": None,
        "resolved_at": None,
        "resolved_report": None,
        "comment": "",
        "silenced_until": None,
    }


def test_the_list_is_of_the_unresolved_worst_first_and_can_be_narrowed(engineer: Person, watched: Version) -> None:
    made = {a.rule: a for a in raised(watched, *map(finding, ("volume", "drift", "performance", "quality")))}
    assert rules(engineer.get(ALERTS)) == ["performance", "drift", "quality", "volume"]
    assert engineer.post(f"{ALERTS}/{made['drift'].pk}/resolve")[0] == 200
    assert engineer.post(f"{ALERTS}/{made['quality'].pk}/acknowledge")[0] == 200
    assert rules(engineer.get(ALERTS)) == ["performance", "quality", "volume"]
    assert rules(engineer.get(ALERTS, status="open")) == ["performance", "volume"]
    assert rules(engineer.get(ALERTS, status="resolved")) == ["drift"]
    assert len(rules(engineer.get(ALERTS, status="all"))) == 4
    assert rules(engineer.get(ALERTS, severity="low")) == ["volume"]
    assert rules(engineer.get(ALERTS, model="high_cost", severity="critical")) == ["performance"]
    assert rules(engineer.get(ALERTS, model="other")) == []
    assert rules(engineer.get(ALERTS, page_size=1, page=2)) == ["quality"]


def test_a_model_is_answered_with_its_open_alerts(engineer: Person, watched: Version) -> None:
    low, high = raised(watched, finding("volume", "")) + raised(watched, finding("drift", "age"))
    status, model = engineer.get("/models/high_cost")
    assert (status, [row["rule"] for row in model["open_alerts"]]) == (200, ["drift", "volume"])
    worst = model["open_alerts"][0]
    assert (worst["severity"], worst["summary"], worst["count"]) == ("high", "drift of age", 1)
    for alert in (low, high):
        assert engineer.post(f"{ALERTS}/{alert.pk}/resolve", {"comment": "over"})[0] == 200
    assert engineer.get("/models/high_cost")[1]["open_alerts"] == []


@pytest.mark.parametrize("query", [{"status": "shut"}, {"severity": "dire"}, {"rule": "rain"}, {"group": "x"}, {"kind": "drift"}])
def test_a_wrong_filter_names_the_field(engineer: Person, query: dict[str, str]) -> None:
    status, problem = engineer.get(ALERTS, **query)
    assert (status, problem["errors"][0]["field"]) == (422, next(iter(query)))


def test_it_is_handled_step_by_step(engineer: Person, watched: Version) -> None:
    (alert,) = raised(watched)
    at = f"{ALERTS}/{alert.pk}"
    status, seen = engineer.post(f"{at}/acknowledge", {"comment": "Mine."})
    assert (status, seen["status"], seen["acknowledged_by"], seen["comment"]) == (
        200,
        "acknowledged",
        "author",
        "Mine.",
    )
    status, muted = engineer.post(f"{at}/silence", {"hours": 24})
    assert (status, muted["silenced_until"] > seen["acknowledged_at"]) == (200, True)
    status, done = engineer.post(f"{at}/resolve")
    assert (status, done["status"], done["resolved_by"]) == (200, "resolved", "author")
    status, problem = engineer.post(f"{at}/resolve")
    assert (status, problem["code"]) == (409, "wrong_state")
    assert "the alert is resolved" in problem["detail"]


def test_a_repeated_request_gets_its_first_answer(engineer: Person, watched: Version, settings: Any) -> None:
    settings.MONITORING_WEBHOOK_URL = "http://127.0.0.1:9/"
    (alert,) = raised(watched)
    key = {"Idempotency-Key": "once"}
    first = engineer.post(f"{ALERTS}/{alert.pk}/resolve", {}, **key)
    assert engineer.post(f"{ALERTS}/{alert.pk}/resolve", {}, **key) == first
    assert Delivery.objects.filter(event="alert.resolved").count() == 1


@pytest.mark.parametrize(
    ("deed", "body", "field"),
    [
        ("silence", {}, "hours"),
        ("silence", {"hours": 0}, "hours"),
        ("silence", {"hours": 721}, "hours"),
        ("silence", {"hours": "soon"}, "hours"),
        ("acknowledge", {"comment": "x" * 2001}, "comment"),
        ("resolve", {"reason": "x"}, "reason"),
    ],
)
def test_a_wrong_body_names_the_field(
    engineer: Person, watched: Version, deed: str, body: dict[str, Any], field: str
) -> None:
    (alert,) = raised(watched)
    status, problem = engineer.post(f"{ALERTS}/{alert.pk}/{deed}", body)
    assert (status, problem["errors"][0]["field"]) == (422, field)
    assert Alert.objects.get().status == "open"


@pytest.mark.parametrize("deed", ["acknowledge", "resolve", "silence"])
def test_another_teams_alert_does_not_exist_and_a_reader_may_not(watched: Version, deed: str) -> None:
    (alert,) = raised(watched)
    stranger, reader = Person(actor("zoe", "ml_engineer", team="others")), Person(actor("vera", "viewer"))
    body = {"hours": 1} if deed == "silence" else {}
    assert stranger.get(ALERTS, status="all")[1]["count"] == 0
    missing = stranger.post(f"{ALERTS}/{uuid4()}/{deed}", body)
    theirs = stranger.post(f"{ALERTS}/{alert.pk}/{deed}", body)
    assert (missing[0], theirs[0], theirs[1]["code"]) == (404, 404, "unknown_alert")
    assert reader.get(ALERTS)[1]["count"] == 1
    assert reader.post(f"{ALERTS}/{alert.pk}/{deed}", body)[0] == 403
    assert AuditRecord.objects.filter(subject=alert.subject, action="alert.handle.refused").count() == 1
