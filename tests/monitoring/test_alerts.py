"""Alerts: one unresolved per model, rule and subject; handled by those who may."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord, Delivery
from mlops_site.core.permissions import Actor
from monitoring import signals
from monitoring.choices import SEVERITY_OF, AlertStatus, Rule
from monitoring.models import Alert, Silence
from monitoring.services import acknowledge_alert, end_silence, raise_alerts, resolve_alert, silence_alert
from registry.models import Version
from tests.monitoring.parts import finding, raised, report_of
from tests.people import actor

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def webhook(settings: Any) -> None:
    settings.MONITORING_WEBHOOK_URL = URL


def actions(alert: Alert) -> list[str]:
    return list(AuditRecord.objects.filter(subject=alert.subject).values_list("action", flat=True))


def events_sent() -> list[str]:
    return list(Delivery.objects.order_by("created_at").values_list("event", flat=True))


@pytest.mark.parametrize("rule", Rule.values)
def test_each_rule_has_its_severity(watched: Version, rule: str) -> None:
    (alert,) = raised(watched, finding(rule, "age"))
    assert (alert.severity, alert.subject_key, alert.status) == (SEVERITY_OF[Rule(rule)], "age", AlertStatus.OPEN)


def test_a_finding_that_is_not_marked_raises_nothing(watched: Version) -> None:
    assert raised(watched, finding("drift", raised=False), finding("volume")) == list(
        Alert.objects.filter(rule="volume")
    )


def test_what_is_found_again_counts_up_with_the_newest_evidence(watched: Version) -> None:
    (first,) = raised(watched)
    Alert.objects.filter(pk=first.pk).update(last_seen_at=timezone.now() - timedelta(hours=1))
    (again,) = raised(watched, finding(summary="worse", evidence={"score": 0.5}))
    assert (again.pk, again.count, again.summary, again.evidence) == (first.pk, 2, "worse", {"score": 0.5})
    assert again.report_id != first.report_id
    assert again.first_seen_at == first.first_seen_at
    assert timezone.now() - again.last_seen_at < timedelta(minutes=1)
    assert actions(first) == ["alert.raised"]  # once


def test_another_rule_or_subject_is_another_alert(watched: Version) -> None:
    assert len(raised(watched, finding(), finding("drift", "age"), finding("volume"))) == 3
    assert Alert.objects.count() == 3


def test_subjects_that_only_differ_far_on_are_two_alerts(watched: Version) -> None:
    first, second = raised(watched, finding("quality", "a" * 200 + "1"), finding("quality", "a" * 200 + "2"))
    assert first.subject_key != second.subject_key
    assert {len(first.subject_key), len(second.subject_key)} == {128}
    (again,) = raised(watched, finding("quality", "a" * 200 + "1"))
    assert (again.pk, again.count) == (first.pk, 2)


def test_one_that_is_acknowledged_counts_up_and_one_that_is_resolved_does_not(watched: Version, author: Actor) -> None:
    (alert,) = raised(watched)
    acknowledge_alert(alert, actor=author)
    (again,) = raised(watched)
    assert (again.pk, again.count, again.status) == (alert.pk, 2, AlertStatus.ACKNOWLEDGED)
    resolve_alert(alert, actor=author)
    (new,) = raised(watched)
    assert (new.pk != alert.pk, new.count, new.status) == (True, 1, AlertStatus.OPEN)


def test_long_words_are_cut_to_what_the_row_holds(watched: Version) -> None:
    (alert,) = raised(watched, finding("drift", "x" * 500, summary="y" * 900))
    assert (len(alert.subject_key), len(alert.summary)) == (128, 300)
    assert raised(watched, finding("drift", "x" * 500))[0].count == 2


def test_who_listens_hears_of_new_and_repeated_alerts(watched: Version) -> None:
    heard: list[tuple[Alert, bool]] = []

    def listen(alert: Alert, is_new: bool, **_: Any) -> None:
        heard.append((alert, is_new))

    signals.alert_raised.connect(listen)
    try:
        (alert,) = raised(watched)
        raised(watched)
    finally:
        signals.alert_raised.disconnect(listen)
    assert heard == [(alert, True), (alert, False)]


class TestDelivery:
    def test_without_an_address_nothing_is_enqueued(self, watched: Version) -> None:
        raised(watched)
        assert events_sent() == []

    def test_a_new_alert_is_told_once_and_its_end_too(self, watched: Version, author: Actor, webhook: None) -> None:
        (alert,) = raised(watched)
        raised(watched)
        assert events_sent() == ["alert.raised"]
        resolve_alert(alert, actor=author)
        assert events_sent() == ["alert.raised", "alert.resolved"]
        assert set(Delivery.objects.values_list("subject", "team__name", "channel")) == {
            (alert.subject, "claims", "monitoring_webhook")
        }

    def test_a_silence_mutes_what_comes_after_it_even_past_the_alert(
        self, watched: Version, author: Actor, webhook: None
    ) -> None:
        (alert,) = raised(watched)
        silence_alert(alert, actor=author, hours=1)
        resolve_alert(alert, actor=author)
        (muted,) = raised(watched)
        assert (muted.count, events_sent()) == (1, ["alert.raised", "alert.resolved"])
        raised(watched, finding("volume"))  # of something else
        assert events_sent()[2:] == ["alert.raised"]
        resolve_alert(muted, actor=author)
        assert len(events_sent()) == 3  # nobody was told that it began

    def test_a_silence_ends(self, watched: Version, author: Actor, webhook: None) -> None:
        (alert,) = raised(watched)
        silence_alert(alert, actor=author, hours=1)
        end_silence(Silence.objects.get(), actor=author)
        resolve_alert(alert, actor=author)
        raised(watched)
        assert events_sent().count("alert.raised") == 2


class TestHandling:
    def test_it_is_acknowledged_then_resolved_and_both_are_recorded(self, watched: Version, author: Actor) -> None:
        (alert,) = raised(watched)
        seen = acknowledge_alert(alert, actor=author, comment=" I look at it. ")
        assert (seen.status, seen.acknowledged_by, seen.comment) == ("acknowledged", author.user, "I look at it.")
        done = resolve_alert(seen, actor=author, comment="A new site joined.")
        assert (done.status, done.resolved_by, done.comment) == ("resolved", author.user, "A new site joined.")
        assert actions(alert) == ["alert.raised", "alert.acknowledged", "alert.resolved"]

    def test_the_wrong_state_is_named(self, watched: Version, author: Actor) -> None:
        (alert,) = raised(watched)
        acknowledge_alert(alert, actor=author)
        with pytest.raises(Conflict, match="the alert is acknowledged; only one that is open can be acknowledged"):
            acknowledge_alert(alert, actor=author)
        resolve_alert(alert, actor=author)
        for handle in (acknowledge_alert, resolve_alert):
            with pytest.raises(Conflict, match="the alert is resolved"):
                handle(alert, actor=author)
        with pytest.raises(Conflict, match="the alert is resolved; only one that is open or acknowledged"):
            silence_alert(alert, actor=author, hours=1)

    @pytest.mark.parametrize("hours", [0, 721, -1, True, 1.5, "2"])
    def test_a_silence_has_bounds(self, watched: Version, author: Actor, hours: Any) -> None:
        (alert,) = raised(watched)
        with pytest.raises(Invalid, match="hours must be a whole number from 1 to 720"):
            silence_alert(alert, actor=author, hours=hours)

    def test_a_silence_is_recorded_with_its_end(self, watched: Version, author: Actor) -> None:
        (alert,) = raised(watched)
        row = silence_alert(alert, actor=author, hours=720, comment="Known: the year turned.")
        assert row.silenced_until is not None
        record = AuditRecord.objects.get(subject=alert.subject, action="alert.silenced")
        assert record.data == {"comment": "Known: the year turned.", "until": row.silenced_until.isoformat()}
        assert timedelta(hours=719) < row.silenced_until - timezone.now() <= timedelta(hours=720)

    @pytest.mark.parametrize(("role", "team"), [("viewer", "claims"), ("auditor", "claims"), ("ml_engineer", "others")])
    def test_who_may_not_handle_it_changes_nothing_and_is_recorded(
        self, watched: Version, role: str, team: str
    ) -> None:
        (alert,) = raised(watched)
        stranger = actor("stranger", role, team=team)
        for handle in (acknowledge_alert, resolve_alert):
            with pytest.raises(Forbidden):
                handle(alert, actor=stranger)
        with pytest.raises(Forbidden):
            silence_alert(alert, actor=stranger, hours=1)
        assert actions(alert) == ["alert.raised", *["alert.handle.refused"] * 3]
        assert Alert.objects.get() == alert
        assert Alert.objects.get().status == AlertStatus.OPEN


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_reports_at_the_same_moment_make_one_alert_of_each_subject(watched: Version) -> None:
    """The lock of the model holds them apart, and for whoever takes none the constraint one_unresolved_alert."""
    reports = [report_of(watched, finding("drift", "b"), finding("drift", "a"), finding("volume")) for _ in range(8)]
    start, failures = threading.Barrier(8), list[BaseException]()

    def work(number: int) -> None:
        try:
            start.wait()
            raise_alerts(reports[number])
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sorted(Alert.objects.values_list("rule", "subject_key", "count")) == [
        ("drift", "a", 8), ("drift", "b", 8), ("volume", "", 8),
    ]  # fmt: skip
    assert AuditRecord.objects.filter(action="alert.raised").count() == 3
