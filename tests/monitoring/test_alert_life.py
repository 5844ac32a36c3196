"""What becomes of alerts: groups, escalation, the end that they find by themselves, silence in advance, gifts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord, Delivery
from mlops_site.core.permissions import Actor
from monitoring import channels, services, signals
from monitoring.models import Alert, Silence
from monitoring.selectors.alerts import alert_of, between, counts, earlier, group_of, happened
from monitoring.selectors.outlook import happenings
from monitoring.selectors.silences import is_silenced, silences
from monitoring.selectors.told import told_of
from monitoring.stats.judged import could_judge
from registry.models import Version
from tests.monitoring.parts import JUDGED, SILENT, finding, raised, scheduled
from tests.people import actor

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def rules(watched: Version, author: Actor, **fields: Any) -> None:
    services.set_alert_rules(watched.model, actor=author, rules=fields)


def now(alert: Alert) -> Alert:
    return Alert.objects.get(pk=alert.pk)


def next_of(who: Actor, alert: Alert) -> list[str]:
    return told_of(alert_of(who, alert.pk)).next


class TestGroups:
    def test_what_one_report_finds_is_one_group(self, watched: Version) -> None:
        first, second = raised(watched, finding("quality", "age"), finding("drift"))
        assert first.group_key == second.group_key == first.pk
        assert [other.pk for other in group_of(second)] == [first.pk]
        assert second.first_report_id == second.report_id

    def test_what_begins_shortly_after_joins_and_what_begins_later_does_not(self, watched: Version) -> None:
        (first,) = raised(watched)
        (soon,) = raised(watched, finding("volume"))
        assert soon.group_key == first.pk
        with transaction.atomic():
            Alert.objects.filter(status="open").update(status="resolved")
        (alone,) = raised(watched, finding("volume"))
        assert alone.group_key == alone.pk

    def test_causes_of_their_own_stay_apart(self, watched: Version) -> None:
        raised(watched)
        told = services.raise_experiment(watched, subject="exp 1", summary="slow", evidence={})
        assert told.group_key == told.pk
        (after,) = raised(watched, finding("volume"))
        assert after.group_key != told.pk

    def test_a_group_cannot_be_left(self, watched: Version) -> None:
        (alert,) = raised(watched)
        for change in ({"group_key": uuid4()}, {"group_key": None}, {"count": 0}, {"first_report": None}):
            with pytest.raises(IntegrityError, match="an alert keeps what it is about"), transaction.atomic():
                Alert.objects.filter(pk=alert.pk).update(**change)

    def test_two_alerts_on_the_same_are_refused_by_the_database(self, watched: Version) -> None:
        (alert,) = raised(watched)
        about = {"model": alert.model, "version": watched, "rule": "drift", "subject_key": "", "severity": "high"}
        with pytest.raises(IntegrityError), transaction.atomic():
            Alert.objects.create(**about, summary="again")


class TestEnd:
    def test_three_clean_reports_end_it_and_the_last_is_named(
        self, watched: Version, author: Actor, settings: Any
    ) -> None:
        settings.MONITORING_WEBHOOK_URL = "http://127.0.0.1:9/"
        (alert,) = raised(watched)
        assert "when 3 scheduled reports in a row do not find it: 0 so far" in " ".join(next_of(author, alert))
        heard: list[Alert] = []

        def listen(alert: Alert, **_: Any) -> None:
            heard.append(alert)

        signals.alert_resolved.connect(listen)
        try:
            for hour in (1, 2):
                scheduled(watched, hour)
            assert (now(alert).status, now(alert).clean_reports) == ("open", 2)
            last = scheduled(watched, 3)
        finally:
            signals.alert_resolved.disconnect(listen)
        ended = now(alert)
        assert (ended.status, ended.resolved_report, ended.resolved_by) == ("resolved", last, None)
        assert ended.comment.startswith("Not found by 3 scheduled reports in a row; the last is on ")
        assert heard == [ended]
        record = AuditRecord.objects.get(subject=alert.subject, action="alert.resolved")
        assert (record.actor, record.data["report"]) == ("system:monitoring", str(last.pk))
        assert list(Delivery.objects.order_by("created_at").values_list("event", flat=True))[-1] == "alert.resolved"
        assert next_of(author, alert) == ["It is over; the next finding opens another."]

    def test_one_that_is_found_or_held_back_begins_anew(self, watched: Version) -> None:
        (alert,) = raised(watched)
        scheduled(watched, 1)
        scheduled(watched, 2)
        scheduled(watched, 3, finding(raised=False))
        assert now(alert).clean_reports == 0
        scheduled(watched, 4)
        scheduled(watched, 5, finding())
        assert (now(alert).clean_reports, now(alert).count) == (0, 2)

    def test_only_windows_that_go_on_count(self, watched: Version) -> None:
        (alert,) = raised(watched)
        scheduled(watched, -3)
        assert now(alert).clean_reports == 0
        for hour in (2, 2, 1, 2):
            scheduled(watched, hour)
        assert now(alert).clean_reports == 1

    def test_a_report_that_cannot_judge_counts_only_where_the_rule_says_so(
        self, watched: Version, author: Actor
    ) -> None:
        (alert,) = raised(watched)
        scheduled(watched, 1, body=SILENT)
        assert now(alert).clean_reports == 0
        rules(watched, author, no_data={"no_data": "ignore"})
        scheduled(watched, 2, body=SILENT)
        assert now(alert).clean_reports == 1

    def test_zero_leaves_it_to_people(self, watched: Version, author: Actor) -> None:
        rules(watched, author, drift={"resolve_after": 0})
        (alert,) = raised(watched)
        for hour in range(1, 6):
            scheduled(watched, hour)
        assert now(alert).status == "open"
        assert "It stays until somebody resolves it." in next_of(author, alert)

    def test_what_no_report_raised_no_report_ends(self, watched: Version) -> None:
        told = services.raise_experiment(watched, subject="exp 1", summary="slow", evidence={})
        for hour in range(1, 5):
            scheduled(watched, hour)
        assert (now(told).status, now(told).clean_reports) == ("open", 0)

    def test_what_comes_back_names_the_one_before(self, watched: Version) -> None:
        (first,) = raised(watched)
        for hour in (1, 2, 3):
            scheduled(watched, hour)
        (second,) = raised(watched)
        assert earlier(second) == first
        assert earlier(first) is None

    @pytest.mark.parametrize(
        ("rule", "body", "judged"),
        [
            ("drift", JUDGED, True), ("quality", JUDGED, True), ("volume", JUDGED, True), ("performance", JUDGED, True),
            ("drift", SILENT, False), ("quality", SILENT, False), ("volume", SILENT, False),
            ("performance", SILENT, False), ("performance", JUDGED | {"performance": {"headline": {"n": 99}}}, False),
            ("volume", JUDGED | {"volume": {"reason": "not judged: 3 rows"}}, False),
            ("another", JUDGED, True), ("another", SILENT, False),
        ],
    )  # fmt: skip
    def test_what_a_report_could_have_found(self, rule: str, body: dict[str, Any], judged: bool) -> None:
        assert could_judge(rule, body, min_samples=100) is judged


class TestEscalation:
    @pytest.fixture
    def alert(self, watched: Version, author: Actor) -> Alert:
        steps = [{"after": "30m", "role": "ml_engineer"}, {"after": "2h", "severity": "critical", "role": "approver"}]
        rules(watched, author, drift={"escalation": steps})
        return raised(watched)[0]

    def test_each_step_is_taken_once_and_told(self, alert: Alert, author: Actor, settings: Any) -> None:
        settings.MONITORING_WEBHOOK_URL = "http://127.0.0.1:9/"
        begun = alert.first_seen_at
        assert alert.escalates_at == begun + HOUR / 2
        first = f"It escalates to every ML engineer of claims at {begun + HOUR / 2:%H:%M} UTC on"
        assert next_of(author, alert)[0].startswith(first)
        assert services.escalate_alerts(begun + HOUR / 3) == 0
        assert services.escalate_alerts(begun + HOUR) == 1
        assert services.escalate_alerts(begun + HOUR) == 0
        row = now(alert)
        assert (row.severity, row.escalated_to, row.escalations) == ("high", "ml_engineer", 1)
        assert row.escalates_at == begun + 2 * HOUR
        assert "to critical and to every approver of claims at" in next_of(author, alert)[0]
        assert services.escalate_alerts(begun + 3 * HOUR) == 1
        row = now(alert)
        assert (row.severity, row.escalated_to, row.escalations, row.escalates_at) == ("critical", "approver", 2, None)
        assert services.escalate_alerts(begun + 99 * HOUR) == 0
        records = AuditRecord.objects.filter(subject=alert.subject, action="alert.escalated")
        assert [record.data for record in records] == [
            {"step": 1, "from": "high", "severity": "high", "role": "ml_engineer"},
            {"step": 2, "from": "high", "severity": "critical", "role": "approver"},
        ]
        told = Delivery.objects.filter(event="alert.escalated").order_by("created_at")
        assert [row.body["severity"] for row in told] == ["high", "critical"]

    def test_acknowledging_stops_it(self, alert: Alert, author: Actor) -> None:
        services.acknowledge_alert(alert, actor=author)
        assert now(alert).escalates_at is None
        assert services.escalate_alerts(alert.first_seen_at + HOUR) == 0
        assert "It escalates no more: author looks at it." in next_of(author, alert)

    def test_a_silence_puts_it_off(self, alert: Alert, author: Actor) -> None:
        services.silence_alert(alert, actor=author, hours=1)
        assert services.escalate_alerts(alert.first_seen_at + HOUR / 2) == 0
        assert "once its silence ends" in next_of(author, alert)[0]
        services.end_silence(Silence.objects.get(), actor=author)
        assert services.escalate_alerts(alert.first_seen_at + HOUR) == 1

    def test_another_rule_moves_what_waits(self, alert: Alert, watched: Version, author: Actor) -> None:
        rules(watched, author, drift={"escalation": [{"after": "5h", "severity": "critical"}]})
        assert now(alert).escalates_at == alert.first_seen_at + 5 * HOUR
        rules(watched, author, drift={"escalation": None})
        assert now(alert).escalates_at is None
        assert "It does not escalate." in next_of(author, alert)

    def test_a_severity_never_falls(self, watched: Version, author: Actor) -> None:
        rules(watched, author, performance={"escalation": [{"after": "1h", "severity": "low"}]})
        (alert,) = raised(watched, finding("performance", "f1_score"))
        assert services.escalate_alerts(alert.first_seen_at + HOUR) == 1
        assert now(alert).severity == "critical"

    def test_one_that_fails_stops_no_other(
        self, alert: Alert, watched: Version, author: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rules(watched, author, volume={"escalation": [{"after": "10m", "severity": "high"}]})
        (other,) = raised(watched, finding("volume"))
        tell = channels.tell

        def broken(row: Alert, event: str) -> None:
            if row.rule == "volume":
                raise RuntimeError("no")
            tell(row, event)

        monkeypatch.setattr(channels, "tell", broken)
        assert services.escalate_alerts(alert.first_seen_at + HOUR) == 1
        assert (now(alert).escalations, now(other).escalations) == (1, 0)

    def test_by_default_only_performance_escalates(self, watched: Version) -> None:
        of = {alert.rule: alert for alert in raised(watched, *map(finding, ("performance", "drift", "volume")))}
        assert of["performance"].escalates_at == of["performance"].first_seen_at + 4 * HOUR
        assert of["drift"].escalates_at is None


class TestSilences:
    def test_in_advance_nothing_is_told_and_it_counts(self, watched: Version, author: Actor, settings: Any) -> None:
        settings.MONITORING_WEBHOOK_URL = "http://127.0.0.1:9/"
        made = services.silence(
            watched.model, actor=author, reason="The yearly reload.", hours=4, rule="quality", subject="age"
        )
        (muted,) = raised(watched, finding("quality", "age"))
        (loud,) = raised(watched, finding("quality", "visits"))
        assert (is_silenced(muted), is_silenced(loud)) == (True, False)
        assert [row.subject for row in Delivery.objects.all()] == [loud.subject]
        assert alert_of(author, muted.pk).silenced_until == made.ends_at
        record = AuditRecord.objects.get(action="silence.set")
        assert (record.subject, record.data["reason"]) == (f"silence:{made.pk}", "The yearly reload.")
        services.end_silence(made, actor=author, comment="done")
        assert not is_silenced(muted)
        with pytest.raises(Conflict, match="is over already"):
            services.end_silence(made, actor=author)

    @pytest.mark.parametrize(
        ("rule", "subject", "hit"),
        [
            ("", None, True),
            ("drift", None, True),
            ("drift", "", True),
            ("drift", "age", False),
            ("volume", None, False),
        ],
    )
    def test_what_it_matches(self, watched: Version, author: Actor, rule: str, subject: str | None, hit: bool) -> None:
        services.silence(watched.model, actor=author, reason="x", hours=1, rule=rule, subject=subject)
        (alert,) = raised(watched)
        assert is_silenced(alert) is hit

    def test_it_begins_when_it_is_to_begin(self, watched: Version, author: Actor) -> None:
        later = timezone.now() + timedelta(days=2)
        made = services.silence(watched.model, actor=author, reason="x", hours=1, starts_at=later)
        assert not is_silenced(raised(watched)[0])
        assert list(silences(author)) == [made]
        services.end_silence(made, actor=author)
        assert list(silences(author)) == []
        assert list(silences(author, status="past")) == [made]

    def test_wrong_ones_are_refused(self, watched: Version, author: Actor) -> None:
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"hours": 0}, "hours"), ({"hours": 721}, "hours"), ({"reason": " "}, "reason"), ({"rule": "rain"}, "rule"),
            ({"starts_at": datetime(2020, 1, 1, tzinfo=UTC)}, "starts_at"),
            ({"starts_at": timezone.now() + timedelta(days=400)}, "starts_at"), ({"subject": "a\x00"}, "subject"),
        ]  # fmt: skip
        for change, field in wrong:
            with pytest.raises(Invalid) as caught:
                services.silence(watched.model, actor=author, **{"reason": "x", "hours": 1, **change})
            assert caught.value.errors[0].field == field
        with pytest.raises(Forbidden):
            services.silence(watched.model, actor=actor("vera", "viewer"), reason="x", hours=1)
        assert Silence.objects.count() == 0

    def test_its_words_stay(self, watched: Version, author: Actor) -> None:
        made = services.silence(watched.model, actor=author, reason="x", hours=1)
        for change in ({"ends_at": made.ends_at + HOUR}, {"rule": "drift"}, {"every_subject": False}):
            with pytest.raises(IntegrityError, match="a silence can only be ended"), transaction.atomic():
                Silence.objects.filter(pk=made.pk).update(**change)
        with pytest.raises(IntegrityError, match="silences are kept"), transaction.atomic():
            made.delete()


class TestPeople:
    def test_it_is_given_to_somebody_who_may_handle_it(self, watched: Version, author: Actor, settings: Any) -> None:
        settings.MONITORING_WEBHOOK_URL = "http://127.0.0.1:9/"
        (alert,) = raised(watched)
        actor("dana", "data_scientist"), actor("vera", "viewer"), actor("zoe", "ml_engineer", team="others")
        for name in ("vera", "zoe", "nobody", ""):
            if name:
                with pytest.raises(Invalid, match="assignee must be somebody in team claims") as caught:
                    services.assign_alert(alert, actor=author, assignee=name)
                assert caught.value.code == "unknown_assignee"
        services.assign_alert(alert, actor=author, assignee="dana", comment="Yours.")
        assert now(alert).assignee.username == "dana"  # type: ignore[union-attr]
        services.assign_alert(alert, actor=author, assignee="dana")  # once
        services.assign_alert(alert, actor=author, assignee=None)
        said = [(each.deed, each.by, each.said) for each in happenings(list(happened(alert)))]
        assert said == [
            ("raised", "system:monitoring", "drift of the model"),
            ("assigned", "author", "to dana: Yours."),
            ("assigned", "author", "to nobody"),
        ]

    def test_a_remark_is_kept_even_after_the_end(self, watched: Version, author: Actor) -> None:
        (alert,) = raised(watched)
        services.resolve_alert(alert, actor=author)
        services.comment_alert(alert, actor=author, comment="It was the new site.")
        assert happenings(list(happened(alert)))[-1].said == "It was the new site."
        with pytest.raises(Invalid):
            services.comment_alert(alert, actor=author, comment="  ")

    def test_several_at_once_each_by_itself(self, watched: Version, author: Actor) -> None:
        first, second, third = raised(watched, *map(finding, ("drift", "volume", "quality")))
        services.resolve_alert(second, actor=author)
        ids, missing = [first.pk, second.pk, third.pk, first.pk], uuid4()
        found = services.handle_alerts([*ids, missing], actor=author, deed="acknowledge", comment="On it.")
        assert found.done == [first.pk, third.pk]
        assert [(pk, code) for pk, code, _ in found.refused] == [
            (second.pk, "wrong_state"), (missing, "unknown_alert"),
        ]  # fmt: skip
        assert {now(first).status, now(third).status} == {"acknowledged"}
        for deed, several, code in (("delete", ids, "unknown_deed"), ("resolve", [], "out_of_range")):
            with pytest.raises(Invalid) as caught:
                services.handle_alerts(several, actor=author, deed=deed)
            assert caught.value.code == code

    def test_counts_by_severity_and_the_line_of_time(self, watched: Version, author: Actor) -> None:
        start = timezone.now()
        first, _, third = raised(watched, *map(finding, ("drift", "volume", "performance")))
        services.acknowledge_alert(first, actor=author)
        assert [(c.severity.value, c.open, c.acknowledged) for c in counts(author)] == [
            ("critical", 1, 0), ("high", 0, 1), ("medium", 0, 0), ("low", 1, 0),
        ]  # fmt: skip
        assert counts(actor("zoe", "ml_engineer", team="others"))[0].open == 0
        services.resolve_alert(third, actor=author)
        ended = timezone.now()
        assert len(between(watched.model, start, ended)) == 3
        assert third not in between(watched.model, ended + HOUR, ended + 2 * HOUR)
        assert list(between(watched.model, start - 2 * HOUR, start - HOUR)) == []
