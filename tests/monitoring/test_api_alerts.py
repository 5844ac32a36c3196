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


@pytest.mark.parametrize(
    "query", [{"status": "shut"}, {"severity": "dire"}, {"rule": "rain"}, {"group": "x"}, {"kind": "drift"}]
)
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


class TestDetail:
    def test_one_alert_says_what_happened_and_what_is_next(self, engineer: Person, watched: Version) -> None:
        rules = {"performance": {"runbook": "https://wiki.example.org/f1"}}
        assert engineer.put("/models/high_cost/alert-rules", {"rules": rules})[0] == 200
        made = {a.rule: a for a in raised(watched, finding("performance", "f1_score"), finding("drift"))}
        at = f"{ALERTS}/{made['performance'].pk}"
        actor("dana", "data_scientist")
        assert engineer.post(f"{at}/assign", {"assignee": "dana"})[1]["assignee"] == "dana"
        assert engineer.post(f"{at}/comment", {"comment": "A new site?"})[0] == 200
        status, row = engineer.get(at)
        assert (status, row["runbook"], row["earlier"]) == (200, "https://wiki.example.org/f1", None)
        assert [each["rule"] for each in row["grouped"]] == ["drift"]
        assert row["group"] == row["grouped"][0]["id"] == str(made["drift"].pk)
        assert [(each["deed"], each["said"]) for each in row["history"]] == [
            ("raised", "performance of f1_score"), ("assigned", "to dana"), ("said", "A new site?"),
        ]  # fmt: skip
        assert row["escalates_at"] is not None
        assert row["next"][0].startswith("It escalates to every approver of claims at ")
        assert row["next"][1] == "It resolves by itself when 3 scheduled reports in a row do not find it: 0 so far."
        assert row["evidence"] == EVIDENCE
        assert engineer.get(f"{ALERTS}/{uuid4()}")[0] == 404
        assert Person(actor("zoe", "ml_engineer", team="others")).get(at)[0] == 404

    def test_filters_find_whose_it_is_and_its_group(self, engineer: Person, watched: Version) -> None:
        first, second = raised(watched, finding("drift"), finding("volume"))
        engineer.post(f"{ALERTS}/{first.pk}/assign", {"assignee": "author"})
        assert rules(engineer.get(ALERTS, assignee="me")) == rules(engineer.get(ALERTS, assignee="author")) == ["drift"]
        assert rules(engineer.get(ALERTS, assignee="nobody")) == ["volume"]
        assert rules(engineer.get(ALERTS, rule="volume")) == ["volume"]
        assert rules(engineer.get(ALERTS, group=str(second.group_key))) == ["drift", "volume"]
        assert rules(engineer.get(ALERTS, group=str(uuid4()))) == []
        _, counted = engineer.get(f"{ALERTS}/counts")
        assert [row["open"] for row in counted] == [0, 1, 0, 1]
        assert engineer.get(f"{ALERTS}/counts", model="other")[1][1]["open"] == 0

    def test_several_are_handled_and_refusals_are_said(self, engineer: Person, watched: Version) -> None:
        first, second = raised(watched, finding("drift"), finding("volume"))
        missing = str(uuid4())
        body = {"ids": [str(first.pk), str(second.pk), missing], "deed": "acknowledge", "comment": "On it."}
        status, answer = engineer.post(f"{ALERTS}/handle", body)
        assert (status, answer["done"]) == (200, [str(first.pk), str(second.pk)])
        assert [(row["id"], row["code"]) for row in answer["refused"]] == [(missing, "unknown_alert")]
        reader = Person(actor("vera", "viewer"))
        status, answer = reader.post(f"{ALERTS}/handle", {"ids": [str(first.pk)], "deed": "resolve"})
        assert (status, answer["done"], answer["refused"][0]["code"]) == (200, [], "forbidden")
        for wrong, field in (
            ({"ids": [], "deed": "resolve"}, "ids"),
            ({"ids": ["x"], "deed": "resolve"}, "ids[0]"),
            ({"ids": [str(first.pk)] * 201, "deed": "resolve"}, "ids"),
            ({"ids": [missing], "deed": "delete"}, "deed"),
            ({"ids": [missing]}, "deed"),
        ):
            status, problem = engineer.post(f"{ALERTS}/handle", wrong)
            assert (status, problem["errors"][0]["field"].partition(".")[0]) == (422, field)

    def test_the_line_of_time_of_a_model(self, engineer: Person, watched: Version) -> None:
        (alert,) = raised(watched)
        status, rows = engineer.get(f"{ALERTS}/timeline/high_cost")
        assert (status, [row["id"] for row in rows], rows[0]["resolved_at"]) == (200, [str(alert.pk)], None)
        span = {"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z"}
        assert engineer.get(f"{ALERTS}/timeline/high_cost", **span) == (200, [])
        for query in ({"window": "9y"}, {"from": "yesterday"}, {"since": "x"}):
            assert engineer.get(f"{ALERTS}/timeline/high_cost", **query)[0] == 422
        assert Person(actor("zoe", "viewer", team="others")).get(f"{ALERTS}/timeline/high_cost")[0] == 404


class TestRules:
    AT = "/models/high_cost/alert-rules"

    def test_they_are_read_set_and_given_up(self, engineer: Person, watched: Version) -> None:
        status, answer = engineer.get(self.AT)
        assert (status, len(answer["rules"]), answer["history"]) == (200, 9, [])
        drift = next(row for row in answer["rules"] if row["rule"] == "drift")
        assert (drift["own"], drift["severity"], drift["threshold"], drift["resolve_after"]) == ([], "high", 0.1, 3)
        body = {"rules": {"drift": {"severity": "critical", "escalation": [{"after": "60m", "role": "approver"}]}}}
        status, answer = engineer.put(self.AT, {**body, "comment": "It matters."})
        drift = next(row for row in answer["rules"] if row["rule"] == "drift")
        assert (status, drift["own"], drift["set_by"]) == (200, ["escalation", "severity"], "author")
        assert drift["escalation"] == [{"after": "1h", "severity": "", "role": "approver"}]
        assert (answer["history"][0]["comment"], answer["history"][0]["by"]) == ("It matters.", "author")
        assert engineer.delete(f"{self.AT}/drift") == 200
        assert engineer.delete(f"{self.AT}/drift") == 409
        assert engineer.delete(f"{self.AT}/rain") == 422

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "rules"),
            ({"rules": {}}, "rules"),
            ({"rules": []}, "rules"),
            ({"rules": {"drift": 3}}, "rules"),
            ({"rules": {"drift": {"threshold": 7}}}, "rules"),
            ({"rules": {"drift": {"runbook": "ftp://x"}}}, "rules"),
            ({"rules": {"drift": {}}, "comment": "x" * 2001}, "comment"),
            ({"rules": {"drift": {}}, "why": "x"}, "why"),
        ],
    )
    def test_a_wrong_body_names_the_field(
        self, engineer: Person, watched: Version, body: dict[str, Any], field: str
    ) -> None:
        status, problem = engineer.put(self.AT, body)
        assert (status, problem["errors"][0]["field"].partition(".")[0]) == (422, field)

    def test_a_reader_reads_and_another_team_finds_nothing(self, engineer: Person, watched: Version) -> None:
        reader, stranger = Person(actor("vera", "viewer")), Person(actor("zoe", "ml_engineer", team="others"))
        body = {"rules": {"drift": {"enabled": False}}}
        assert (reader.get(self.AT)[0], reader.put(self.AT, body)[0]) == (200, 403)
        assert (stranger.get(self.AT)[0], stranger.put(self.AT, body)[0]) == (404, 404)


class TestSilences:
    AT = "/monitoring/silences"

    def test_they_are_set_listed_and_ended(self, engineer: Person, watched: Version) -> None:
        body = {"model": "high_cost", "rule": "drift", "hours": 2, "reason": "The yearly reload."}
        status, made = engineer.post(self.AT, body)
        assert (status, made["rule"], made["subject"], made["created_by"]) == (201, "drift", None, "author")
        assert engineer.post(self.AT, {**body, "subject": ""})[1]["subject"] == ""
        assert (
            engineer.get(self.AT)[1]["count"] == engineer.get(self.AT, model="high_cost", status="all")[1]["count"] == 2
        )
        (alert,) = raised(watched)
        assert engineer.get(f"{ALERTS}/{alert.pk}")[1]["silenced_until"] is not None
        status, ended = engineer.post(f"{self.AT}/{made['id']}/end", {"comment": "Done."})
        assert (status, ended["ended_by"]) == (200, "author")
        assert engineer.post(f"{self.AT}/{made['id']}/end")[1]["code"] == "wrong_state"
        assert engineer.get(self.AT, status="past")[1]["count"] == 1
        stranger, reader = Person(actor("zoe", "ml_engineer", team="others")), Person(actor("vera", "viewer"))
        assert stranger.get(self.AT, status="all")[1]["count"] == 0
        assert stranger.post(f"{self.AT}/{made['id']}/end")[0] == stranger.post(self.AT, body)[0] == 404
        assert (reader.post(self.AT, body)[0], reader.get(self.AT, status="all")[1]["count"]) == (403, 2)

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"hours": 0}, "hours"), ({"hours": None}, "hours"), ({"reason": ""}, "reason"), ({"rule": "rain"}, "rule"),
            ({"starts_at": "2026-01-01T00:00:00"}, "starts_at"), ({"starts_at": "1999-01-01T00:00:00Z"}, "starts_at"),
            ({"subject": "x" * 129}, "subject"), ({"until": "x"}, "until"),
        ],
    )  # fmt: skip
    def test_a_wrong_body_names_the_field(
        self, engineer: Person, watched: Version, change: dict[str, Any], field: str
    ) -> None:
        body = {"model": "high_cost", "hours": 2, "reason": "x", **change}
        status, problem = engineer.post(self.AT, body)
        assert (status, problem["errors"][0]["field"]) == (422, field)
        assert engineer.get(self.AT, status="when")[0] == 422
