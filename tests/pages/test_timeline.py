"""A model's life in one column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core.permissions import Actor
from mlops_site.pages.happenings import Happening
from mlops_site.pages.timeline import Asked, Day, days, gathered, joined, newest
from monitoring.choices import Outcome, Trigger
from monitoring.models import RetrainDecision
from monitoring.services import acknowledge_alert, resolve_alert
from registry import services as registry
from tests import factories
from tests.factories import Scene
from tests.traffic import bucket
from tests.training import runs

LogIn = Callable[[Actor], Client]


def told(site: Scene) -> list[tuple[str, str, str]]:
    """(kind, sentence, who), newest first."""
    return [(row.kind, row.said, row.who) for row in newest(site.model, None)[0]]


def test_the_way_of_a_version_into_production_is_told(site: Scene) -> None:
    said = [row for row in told(site) if "1.0.0" in row[1] and row[0] not in ("report", "alert")]
    assert said == [
        ("promotion", "1.0.0 is in production", "ben"),
        ("review", "1.0.0 was approved for production", "ben"),
        ("request", "1.0.0 was asked for in production", "ada"),
        ("move", "1.0.0 moved to staging", "ada"),
        ("candidate", "1.0.0 registered", "ada"),
    ]


def test_a_replaced_version_says_nothing_and_a_rollback_does(site: Scene) -> None:
    registry.review_request(site.request, actor=site.approver, decision="approve")
    registry.rollback(site.model, actor=site.approver, reason="It is too slow.")
    said = [row for row in told(site) if row[0] in ("promotion", "rollback", "move")]
    assert said[:2] == [
        ("rollback", "Rolled back: 1.0.0 is in production again", "ben"),
        ("promotion", "1.1.0 is in production", "ben"),
    ]


def test_requests_that_came_to_nothing_are_told(site: Scene) -> None:
    registry.review_request(site.request, actor=site.approver, decision="reject", comment="Too few rows.")
    assert ("review", "1.1.0 was rejected for production", "ben") in told(site)
    again = registry.request_promotion(site.staged, actor=site.author, reason="With more rows.")
    registry.withdraw_request(again, actor=site.author)
    assert ("request", "The request for 1.1.0 is withdrawn", "ada") in told(site)


def test_an_alert_is_raised_looked_at_and_resolved(site: Scene) -> None:
    acknowledge_alert(site.alert, actor=site.author, comment="Mine.")
    resolve_alert(site.alert, actor=site.scientist, comment="Site 6 joined.")
    said = {row[0]: row for row in told(site) if row[0] in ("alert", "acknowledged", "resolved", "report")}
    assert said["alert"][1] == site.alert.summary
    assert said["acknowledged"][2] == "ada"
    assert said["resolved"][2] == "sofia"
    assert said["report"][1] == "A report of 1.0.0 has 1 finding"


def test_runs_and_reasons_to_train_again_are_told(site: Scene) -> None:
    failed = runs.failed_run(site.scientist, site.model, site.dataset)
    common = {"model": site.model, "trigger": Trigger.DATA_DRIFT_SCORE, "reason": "drift 0.31", "alert": site.alert}
    RetrainDecision.objects.create(**common, outcome=Outcome.COOLING_DOWN)
    RetrainDecision.objects.create(**common, outcome=Outcome.TAKEN, run_id=failed.pk)
    rows = newest(site.model, None)[0]
    decisions = [row for row in rows if row.kind == "decision"]
    assert [row.said for row in decisions] == [
        "Training again: drift 0.31",
        "Not trained again, cooling down: drift 0.31",
    ]
    assert decisions[0].url == reverse("run", args=[failed.pk])
    said = told(site)
    assert ("run", "The training run failed", "") in said
    assert ("run", "The training run succeeded: 1.1.0", "") in said
    assert ("run", "Training asked for on hie@1", "sofia") in said


def test_every_line_leads_somewhere(site: Scene, as_: LogIn) -> None:
    client = as_(site.author)
    for url in {row.url for row in newest(site.model, None)[0]}:
        assert client.get(url).status_code == 200, url


def test_days_carry_their_predictions(site: Scene, as_: LogIn) -> None:
    before = bucket(site.served, hours_ago=48, rows=70).started_at.date()  # logged later, so before it was registered
    shown = as_(site.author).get(reverse("timeline", args=[site.model.name])).context["days"]
    assert sum(asked.rows for day in shown for asked in day.asked) == 100
    assert [(day.asked, day.rows) for day in shown if day.first == before] == [([Asked("1.0.0", 70)], [])]


def test_pages_leave_nothing_out_and_repeat_nothing(site: Scene) -> None:
    everything, older = newest(site.model, None, count=1000)
    assert older == ""
    found, before = list[Happening](), None
    for _ in range(len(everything)):
        rows, older = newest(site.model, before, count=4)
        found += rows
        if not older:
            break
        before = datetime.fromisoformat(older)
    assert found == everything


def test_the_older_link_shows_what_came_before(site: Scene, as_: LogIn) -> None:
    for seed in range(3, 15):
        version = factories.version(site.model, site.author, site.run, seed=seed)
        for stage in ("staging", "development", "staging", "archived"):
            registry.move_stage(version, actor=site.author, target_stage=stage, reason="To and fro.")
    client, path = as_(site.author), reverse("timeline", args=[site.model.name])
    first = client.get(path)
    assert 'rel="next"' in first.content.decode()
    second = client.get(path, {"before": first.context["older"]})
    assert "1.0.0 registered" in second.content.decode()
    assert second.context["older"] == ""


@pytest.mark.parametrize(
    "before",
    ["yesterday", "2026-01-01", "9" * 400, "2026-13-01T00:00:00Z", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"],
)
def test_a_moment_that_is_none_shows_the_newest(site: Scene, as_: LogIn, before: str) -> None:
    answer = as_(site.author).get(reverse("timeline", args=[site.model.name]), {"before": before})
    assert answer.status_code == 200
    assert answer.context["before"] is None


def test_a_model_to_which_nothing_happened_says_what_to_do(site: Scene, as_: LogIn) -> None:
    registry.create_model(actor=site.author, name="empty", task_type="regression")
    assert "Nothing happened yet" in as_(site.author).get("/models/empty/timeline").content.decode()


def test_quiet_days_in_a_row_are_one() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    asked = {date(2026, 11, n): [Asked("1.0.0", n)] for n in range(10, 21)}
    row = Happening(noon, "alert", "bad", "drift", "/")
    found = days([row, row._replace(at=noon - timedelta(days=4))], asked)
    assert [(day.first.day, day.last.day, [a.rows for a in day.asked], len(day.rows)) for day in found] == [
        (20, 20, [20], 1),
        (17, 19, [17 + 18 + 19], 0),
        (16, 16, [16], 1),
        (10, 15, [10 + 11 + 12 + 13 + 14 + 15], 0),
    ]


def test_reports_in_a_row_are_one_line() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    report = Happening(noon, "report", "warn", "A report of 1.0.0 has 1 finding", "/new", detail="age drifted")
    hourly = [report._replace(at=noon - timedelta(hours=n), url=f"/{n}") for n in range(3)]
    alert = report._replace(kind="alert", at=noon - timedelta(hours=4))
    found = gathered([*hourly, alert, report])
    assert [(row.kind, row.url) for row in found] == [("report", "/0"), ("alert", "/new"), ("report", "/new")]
    assert found[0].detail == "The latest of 3 such reports since 10:00. age drifted"
    assert found[2].detail == "age drifted"


def test_a_few_quiet_days_stand_alone() -> None:
    two = [Day(date(2026, 11, n), date(2026, 11, n), [Asked("1.0.0", n)], []) for n in (5, 4)]
    assert joined(two) == two
