"""Incidents: opened with what went wrong, closed by a person who says how."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction
from django.test import Client, override_settings
from django.urls import reverse

from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord, Delivery
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import Incident, RegisteredModel, Version
from tests.kept import kept_fixture
from tests.people import actor as person
from tests.registry.http import Person
from tests.registry.parts import into_production, user


@kept_fixture
def incident(served: Version, model: RegisteredModel, author: Actor, approver: Actor) -> Incident:
    """Of 1.0.1, which was rolled back."""
    into_production(model, author=author, approver=approver, seed=1)
    return services.rollback(model, actor=approver, reason="false alarms").incident


def test_a_rollback_opens_an_incident_of_the_version_it_takes_out(incident: Incident, approver: Actor) -> None:
    assert (incident.version.number, incident.kind, incident.status) == ("1.0.1", "rolled_back", "open")
    assert incident.opened_by == approver.user
    assert incident.what == "1.0.1 was taken out of production and 1.0.0 put back: false alarms"
    said = AuditRecord.objects.get(action="incident.opened")
    assert (said.subject, said.data["version"]) == (incident.subject, "1.0.1")
    assert AuditRecord.objects.get(action="version.rolled_back").data["incident"] == incident.pk


def test_a_rollback_that_fails_opens_none(served: Version, model: RegisteredModel, approver: Actor) -> None:
    with pytest.raises(Conflict):
        services.rollback(model, actor=approver, reason="x")
    assert not Incident.objects.exists()


def test_what_is_said_of_it_leaves_in_the_same_transaction(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    into_production(model, author=author, approver=approver, seed=1)
    with override_settings(MONITORING_WEBHOOK_URL="http://127.0.0.1:9/hook"):
        incident = services.rollback(model, actor=approver, reason="false alarms").incident
        services.close_incident(incident, actor=approver, resolution="a threshold was wrong")
    opened, closed = Delivery.objects.filter(subject=incident.subject).order_by("created_at")
    assert (opened.event, opened.channel, opened.team) == ("incident.opened", "monitoring_webhook", model.team)
    assert (opened.body["model"], opened.body["version"], opened.body["status"]) == ("claims", "1.0.1", "open")
    assert (closed.event, closed.body["resolution"]) == ("incident.closed", "a threshold was wrong")


def test_closing_takes_a_resolution_and_happens_once(incident: Incident, author: Actor) -> None:
    with pytest.raises(Invalid, match="resolution must say why"):
        services.close_incident(incident, actor=author, resolution=" ")
    done = services.close_incident(incident, actor=author, resolution="the data of May were left out")
    assert (done.status, done.closed_by, done.resolution) == ("closed", author.user, "the data of May were left out")
    with pytest.raises(Conflict, match=r"was closed on .* by author") as raised:
        services.close_incident(incident, actor=author, resolution="again")
    assert raised.value.code == "incident_closed"
    assert AuditRecord.objects.filter(action="incident.closed").count() == 1


@pytest.mark.parametrize("role", ["viewer", "data_scientist", "auditor", "admin", "service"])
def test_who_may_not_close_it(incident: Incident, role: str) -> None:
    with pytest.raises(Forbidden):
        services.close_incident(incident, actor=person("somebody", role), resolution="nothing to see")
    incident.refresh_from_db()
    assert incident.is_open


def test_another_teams_incident_does_not_exist(incident: Incident, outsider: Actor, stranger: Person) -> None:
    assert list(selectors.incidents(outsider)) == []
    with pytest.raises(NotFound):
        selectors.incident_numbered(outsider, incident.pk)
    assert stranger.get(f"/incidents/{incident.pk}")[0] == 404
    assert stranger.post(f"/incidents/{incident.pk}/close", {"resolution": "x"})[0] == 404


def test_over_http(incident: Incident, engineer: Person) -> None:
    status, listed = engineer.get("/incidents", model="claims", status="open")
    assert (status, listed["count"]) == (200, 1)
    assert listed["results"][0] == engineer.get(f"/incidents/{incident.pk}")[1]
    assert engineer.get("/incidents", status="closed")[1]["count"] == 0
    assert engineer.get("/incidents", kind="fire")[1]["code"] == "unknown_kind"
    assert engineer.post(f"/incidents/{incident.pk}/close", {})[1]["errors"][0]["field"] == "resolution"
    status, closed = engineer.post(f"/incidents/{incident.pk}/close", {"resolution": "trained again"})
    assert (status, closed["status"], closed["closed_by"], closed["resolution"]) == (
        200, "closed", "author", "trained again",
    )  # fmt: skip
    assert engineer.post(f"/incidents/{incident.pk}/close", {"resolution": "again"})[0] == 409


def test_on_the_pages(incident: Incident, author: Actor) -> None:
    browser = Client()
    browser.force_login(user(author))
    page = reverse("incident", args=[incident.pk])
    assert page in browser.get(reverse("model", args=["claims"])).content.decode()
    answer = browser.post(page, {"resolution": "<b>trained</b> again"}, follow=True).content.decode()
    assert "The incident of claims 1.0.1 is closed." in answer
    assert "&lt;b&gt;trained&lt;/b&gt; again" in answer


def test_the_database_keeps_it(incident: Incident) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        Incident.objects.update(what="nothing")
    with pytest.raises(DatabaseError), transaction.atomic():
        incident.delete()


def test_a_list_of_all_with_filters(incident: Incident, author: Actor, outsider: Actor, engineer: Person) -> None:
    def listed(by: Actor, **query: str) -> list[Incident]:
        browser = Client()
        browser.force_login(user(by))
        return list(browser.get(reverse("incidents"), query).context["page"])

    assert listed(author) == listed(author, severity="high", model="claims", kind="rolled_back") == [incident]
    assert listed(author, status="closed") == listed(author, severity="critical") == listed(outsider) == []
    assert listed(author, status="<b>", model="nobody's") == [incident]  # an unknown choice chooses nothing
    services.close_incident(incident, actor=author, resolution="trained again")
    assert (listed(author), listed(author, status="all"), listed(author, status="closed")) == (
        [],
        [incident],
        [incident],
    )
    assert [row["severity"] for row in engineer.get("/incidents?severity=high")[1]["results"]] == ["high"]
    assert engineer.get("/incidents?severity=huge")[0] == 422
