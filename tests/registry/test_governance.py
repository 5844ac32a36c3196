"""The inventory and the report on a period: what they count, who sees what, and what a spreadsheet gets."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import RegisteredModel, Version
from registry.selectors.period import Span
from tests.registry.http import API, Person
from tests.registry.parts import candidate, into_production
from tests.registry.test_pages import client_of

FAILED = {"passed": False, "checks": [{"name": "slices", "level": "fail", "message": "Worse in site = 5."}]}


def today() -> date:
    """Asked anew: the tests may begin before midnight."""
    return timezone.now().date()


def sheet(actor: Actor, path: str) -> list[dict[str, str]]:
    answer: Any = client_of(actor).get(API + path)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))


def report(actor: Actor, kind: str) -> list[tuple[str, str | None, str | None]]:
    found = selectors.period_report(actor, first=today() - timedelta(days=1), last=today())
    return [(row.model, row.version, row.by) for row in found.of(kind)]


def test_the_inventory_says_who_answers_and_what_is_open(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor, outsider: Actor
) -> None:
    services.edit_model(model, actor=author, purpose="Find claims to review.")
    into_production(model, author=author, approver=approver, seed=1)
    services.rollback(model, actor=approver, reason="Too many.")
    (line,) = selectors.inventory_lines(selectors.inventory(author))
    assert (line.model, line.owner, line.risk_tier, line.purpose) == (
        "claims", "author", "medium", "Find claims to review.",
    )  # fmt: skip
    assert (line.production, line.versions, line.open_requests, line.open_incidents) == ("1.0.0", 2, 0, 1)
    assert line.validated is not None
    assert (line.validated.version, line.validated.by, line.validated.decision) == ("1.0.1", "approver", "approve")
    assert not selectors.inventory(outsider)
    with pytest.raises(Invalid, match="risk_tier must be one of"):
        selectors.inventory(author, risk_tier="extreme")


def test_the_inventory_takes_as_many_queries_for_many_models_as_for_one(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert selectors.inventory_lines(selectors.inventory(author))
        return len(captured)

    before = queries()
    for number in range(3):
        other = services.create_model(actor=author, name=f"other_{number}", task_type="classification")
        into_production(other, author=author, approver=approver, seed=number)
    assert queries() == before == 4


def test_the_sheet_is_complete_and_computes_nothing(model: RegisteredModel, author: Actor, outsider: Actor) -> None:
    services.edit_model(model, actor=author, purpose='=HYPERLINK("http://e","x")')
    for number in range(60):
        services.create_model(actor=author, name=f"other_{number:02}", task_type="regression", purpose="@SUM(A1)")
    rows = sheet(author, "/inventory.csv")
    assert len(rows) == 61
    assert rows[0]["purpose"] == '\'=HYPERLINK("http://e","x")'
    assert {row["purpose"] for row in rows[1:]} == {"'@SUM(A1)"}
    assert rows[0]["versions"] == "0"
    assert sheet(outsider, "/inventory.csv") == []


def test_the_endpoint_pages_the_inventory_and_filters(served: Version, engineer: Person, author: Actor) -> None:
    services.create_model(actor=author, name="triage", task_type="regression", risk_tier="high")
    status, found = engineer.get("/inventory", page_size=1)
    assert (status, found["count"], found["results"][0]["model"]) == (200, 2, "claims")
    assert found["results"][0]["validated"]["by"] == "approver"
    assert [row["model"] for row in engineer.get("/inventory", risk_tier="high")[1]["results"]] == ["triage"]
    assert [row["model"] for row in engineer.get("/inventory", stage="production")[1]["results"]] == ["claims"]
    status, said = engineer.get("/inventory", risk_tier="no")
    assert (status, said["errors"][0]["field"]) == (422, "risk_tier")


def test_a_period_tells_promotions_rollbacks_incidents_and_what_is_new(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    into_production(model, author=author, approver=approver, seed=1)
    services.rollback(model, actor=approver, reason="Too many.")
    assert report(author, "promotion") == [("claims", "1.0.0", "approver"), ("claims", "1.0.1", "approver")]
    assert report(author, "rollback") == [("claims", "1.0.0", "approver")]
    assert report(author, "incident") == [("claims", "1.0.1", "approver")]
    assert report(author, "new model") == [("claims", None, "author")]
    assert report(author, "updated model") == [("claims", "1.0.1", "author")]
    assert report(author, "waiver") == []
    assert report(author, "retired model") == []


def test_a_gate_that_people_overrode_is_a_waiver(
    staged: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    request = services.request_promotion(staged, actor=author, reason="needed now", evidence={"gate": FAILED})
    services.review_request(request, actor=approver, decision="approve", comment="Site 5 closes.")
    found = selectors.period_report(author, first=today(), last=today())
    (waiver,) = found.of("waiver")
    assert (waiver.version, waiver.by, waiver.what) == ("1.0.0", "approver", "approved although the gate did not pass")


def test_a_promotion_by_policy_and_the_policy_are_waivers(
    model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    services.set_deploy_policy(model, actor=approver, reach="production", reason="It is watched by the hour.")
    version = services.register_version(model, actor=author, candidate=candidate())
    services.deploy_by_policy(version, actor=author, gate={**FAILED, "passed": True})
    found = selectors.period_report(author, first=today(), last=today())
    assert [(row.version, row.what) for row in found.of("waiver")] == [
        (None, "a standing policy lets candidates into production without people"),
        ("1.0.0", "by standing policy, without the approval of people"),
    ]


def test_a_model_whose_last_version_was_archived_is_retired(
    staged: Version, model: RegisteredModel, author: Actor
) -> None:
    second = services.register_version(model, actor=author, candidate=candidate(1))
    services.move_stage(staged, actor=author, target_stage="archived", reason="old")
    assert report(author, "retired model") == []
    services.move_stage(second, actor=author, target_stage="archived", reason="The product ends.")
    assert report(author, "retired model") == [("claims", "1.0.1", "author")]


def test_days_are_whole_and_both_included(served: Version, author: Actor) -> None:
    def made_on(first: date, last: date) -> int:
        return len(selectors.period_report(author, first=first, last=last).of("new model"))

    day = timedelta(days=1)
    assert made_on(today() - day, today() + day) == made_on(today(), today()) == 1
    assert made_on(today() + day, today() + day) == made_on(today() - 2 * day, today() - day) == 0
    span = Span.of(date(2026, 1, 1), date(2026, 1, 31))
    assert span == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2026-02-01", "to": "2026-01-01"}, "to"),
        ({"from": "2020-01-01", "to": "2026-01-01"}, "to"),
        ({"from": "2026-13-01", "to": "2026-01-01"}, "from"),
        ({"to": "2026-01-01"}, "from"),
        ({"from": "2026-01-01", "to": "2026-01-01", "until": "x"}, "until"),
    ],
)
def test_a_period_that_is_none_is_refused(engineer: Person, query: dict[str, str], field: str) -> None:
    status, said = engineer.get("/period-report", **query)
    assert (status, said["errors"][0]["field"]) == (422, field)


def test_the_report_is_of_your_teams_only(
    served: Version, engineer: Person, stranger: Person, outsider: Actor, author: Actor
) -> None:
    days = {"from": str(today()), "to": str(today())}
    status, found = engineer.get("/period-report", **days)
    assert (status, found["from"], len(found["happenings"])) == (200, str(today()), 2)
    assert stranger.get("/period-report", **days)[1]["happenings"] == []
    assert engineer.get("/period-report", **days, team="elsewhere")[1]["happenings"] == []
    path = f"/period-report.csv?from={today()}&to={today()}"
    assert [row["kind"] for row in sheet(author, path)] == ["promotion", "new model"]
    assert sheet(outsider, path) == []


def test_the_card_over_http_as_json_markdown_and_file(
    served: Version, author: Actor, engineer: Person, stranger: Person
) -> None:
    address = "/models/claims/1.0.0/card"
    status, found = engineer.get(address)
    assert (status, found["about"]["version"], found["served"][0]["cause"]) == (200, "1.0.0", "approved")
    assert found["data"]["dataset"] is None
    text = client_of(author).get(API + address, headers={"Accept": "text/markdown"})
    assert text["Content-Type"] == "text/markdown; charset=utf-8"
    assert text.content.decode().startswith("# Model card: claims 1.0.0\n")
    file = client_of(author).get(f"{API}{address}.md")
    assert file.content == text.content
    assert file["Content-Disposition"] == 'inline; filename="claims-1.0.0-card.md"'
    assert stranger.get(address)[0] == 404
    missing = client_of(author).get(f"{API}/models/claims/9.0.0/card", headers={"Accept": "text/markdown"})
    assert (missing.status_code, missing["Content-Type"]) == (404, "application/problem+json")
    assert missing.json()["code"] == "unknown_version"
