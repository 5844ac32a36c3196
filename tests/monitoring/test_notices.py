"""What channels are told beside alerts, and how long it is kept what was sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mlops_site.core.choices import DeliveryState
from mlops_site.core.models import AuditRecord, Delivery, Notification
from mlops_site.core.permissions import Actor
from monitoring.channels.notices import tell_begun
from monitoring.channels.slack import payload
from monitoring.channels.wording import said, title_of
from monitoring.choices import Severity
from monitoring.models import Channel, Message
from monitoring.selectors.measures import messages
from monitoring.services import end_deliveries, resolve_alert, send_held
from registry import services as registry
from registry.choices import IncidentKind
from registry.models import Incident, Version
from tests.monitoring.parts import raised
from tests.monitoring.test_channels import channel, told
from tests.people import actor
from tests.registry.parts import user

pytestmark = pytest.mark.django_db


def opened(version: Version, kind: str = IncidentKind.ROLLED_BACK) -> Incident:
    return registry.open_incident(version, kind=kind, what="1.0.0 was taken out", actor=actor("ben", "approver"))


def begun(version: Version, people: list[Any]) -> None:
    body = {"type": "experiment.live", "id": 7, "model": "high_cost", "version": "1.1.0", "summary": "1.1.0 begins"}
    body |= {"url": "/experiments/7"}
    tell_begun(version.model, subject="experiment:7", severity=Severity.MEDIUM, body=body, people=people)


class TestIncidents:
    def test_the_beginning_and_the_end_are_told_once_each(self, watched: Version, author: Actor) -> None:
        to, late = channel(author), channel(author, events=["resolved"])
        incident = opened(watched)
        assert told(to) == ["incident.opened"]
        registry.close_incident(incident, actor=author, resolution="trained again")
        assert (told(to), told(late)) == (["incident.opened", "incident.closed"], [])
        body = Delivery.objects.filter(channel=to.key).latest("created_at").body
        assert (body["severity"], body["detail"], body["status"]) == ("high", "trained again", "closed")
        assert title_of(body) == "[high] high_cost: Closed: 1.0.0 was taken out"

    def test_severity_models_and_team_choose_as_for_alerts(self, watched: Version, author: Actor) -> None:
        other = registry.create_model(actor=author, name="other", task_type="classification")
        critical, others = channel(author, min_severity="critical"), channel(author, models=[other.name])
        foreign, off = channel(actor("zoe", "ml_engineer", team="others")), channel(author, enabled=False)
        opened(watched)
        assert [told(each) for each in (critical, others, foreign, off)] == [[], [], [], []]
        opened(watched, IncidentKind.DAMAGED_ARTIFACT)
        assert told(critical) == ["incident.opened"]

    def test_without_an_inbox_who_closes_them_has_a_line(self, watched: Version, author: Actor) -> None:
        reader, validator = user(actor("rita", "viewer")), user(actor("val", "validator"))
        incident = opened(watched)
        lines = Notification.objects.filter(subject=incident.subject)
        assert {line.recipient.username for line in lines} >= {"author", "ben", "val"}
        assert not lines.filter(recipient=reader).exists()
        Notification.objects.filter(recipient=validator).delete()
        registry.close_incident(incident, actor=author, resolution="trained again")
        assert list(Notification.objects.filter(recipient=validator)) == []  # an end is for who knows the beginning

    def test_a_digest_holds_them_beside_alerts(self, watched: Version, author: Actor) -> None:
        to = channel(author, digest="hourly")
        incident = opened(watched)
        (alert,) = raised(watched)
        registry.close_incident(incident, actor=author, resolution="trained again")
        assert messages() == {("webhook", "held"): 3}
        assert send_held(timezone.now() + timedelta(hours=2)) == 1
        body = Delivery.objects.get(channel=to.key).body
        assert {each["type"]: each["events"] for each in body["alerts"]} == {
            "incident.closed": ["incident.opened", "incident.closed"],
            "alert.raised": ["alert.raised"],
        }
        assert title_of(body) == "2 messages"
        assert {each.heading for each in said(body)} == {"Closed: 1.0.0 was taken out", alert.summary}
        assert len(payload(body)["blocks"]) >= 3


class TestExperiments:
    def test_its_people_and_the_channels_are_told_that_it_begins(self, watched: Version, author: Actor) -> None:
        to, severe = channel(author), channel(author, min_severity="high")
        owner, others = user(actor("olga", "approver")), user(actor("rita", "approver"))
        begun(watched, [owner])
        begun(watched, [owner])  # said twice
        assert (told(to), told(severe)) == (["experiment.live"], [])
        assert Delivery.objects.get(channel=to.key).body["severity"] == "medium"
        assert Notification.objects.filter(recipient=owner).exists()
        assert not Notification.objects.filter(recipient=others).exists()

    def test_an_inbox_of_the_team_is_told_in_its_place(self, watched: Version, author: Actor) -> None:
        channel(author, "inbox", address="author")
        owner = user(actor("olga", "approver"))
        begun(watched, [owner])
        (line,) = Notification.objects.filter(event="experiment.live")
        assert (line.recipient.username, line.severity, line.path) == ("author", "medium", "/experiments/7")


class TestRetention:
    @pytest.fixture
    def old(self, watched: Version, author: Actor) -> Channel:
        """A channel with two deliveries of half a year ago: of an alert that stands, and of an incident."""
        to = channel(author)
        raised(watched)
        opened(watched)
        Delivery.objects.update(state=DeliveryState.DELIVERED, created_at=timezone.now() - timedelta(days=200))
        return to

    def test_what_is_old_goes_and_what_still_matters_stays(
        self, watched: Version, author: Actor, old: Channel, settings: Any
    ) -> None:
        settings.DELIVERY_RETENTION_DAYS = 180
        assert end_deliveries() == 1
        assert (told(old), Message.objects.count()) == (["alert.raised"], 1)
        record = AuditRecord.objects.get(action="deliveries.ended")
        assert (record.actor, record.data["deliveries"]) == ("system:retention", 1)
        (alert,) = raised(watched)
        resolve_alert(alert, actor=author)
        assert told(old) == ["alert.raised", "alert.resolved"]  # its beginning was known to have been told
        assert end_deliveries() == 1
        assert told(old) == ["alert.resolved"]

    def test_what_waits_or_is_young_stays(self, old: Channel, settings: Any) -> None:
        settings.DELIVERY_RETENTION_DAYS = 0
        assert end_deliveries() == 0
        settings.DELIVERY_RETENTION_DAYS = 300
        assert end_deliveries() == 0
        settings.DELIVERY_RETENTION_DAYS = 1
        Delivery.objects.update(state=DeliveryState.PENDING)
        assert end_deliveries() == 0

    def test_it_goes_in_batches(self, old: Channel, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.DELIVERY_RETENTION_DAYS = 1
        monkeypatch.setattr("monitoring.services.deliveries.BATCH", 2)
        (row,) = Delivery.objects.filter(event="incident.opened")
        for _ in range(4):
            row.pk = None
            row._state.adding = True
            row.save()
        assert end_deliveries() == 5
        assert AuditRecord.objects.filter(action="deliveries.ended").count() == 3


class TestMeasures:
    def test_messages_are_counted_by_kind_and_state_and_never_by_an_id(self, watched: Version, author: Actor) -> None:
        channel(author), channel(author), channel(author, "slack", digest="daily")
        gone = channel(author)
        raised(watched)
        opened(watched)
        Delivery.objects.filter(channel=gone.key).update(state=DeliveryState.FAILED)
        found = messages()
        assert found == {("webhook", "pending"): 4, ("webhook", "failed"): 2, ("slack", "held"): 2}
