"""Channels: which alerts they are told of and when, what is held, and what a bad one does to others."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from mlops_site.core import seals, webhooks
from mlops_site.core.choices import DeliveryState
from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord, Delivery, Notification
from mlops_site.core.permissions import Actor
from mlops_site.core.webhooks import send_due
from monitoring import channels
from monitoring.channels import routing
from monitoring.channels.hours import due_at
from monitoring.models import Alert, Channel, Message
from monitoring.services import (
    change_channel,
    create_channel,
    delete_channel,
    redeliver,
    resolve_alert,
    send_held,
    silence_alert,
    try_channel,
)
from registry.models import Version
from tests.core.receivers import receiver
from tests.monitoring.parts import finding, raised
from tests.people import actor
from tests.registry.parts import user

pytestmark = pytest.mark.django_db
ADDRESS = "https://hooks.example.com/services/s3cret"
MONDAY = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)


def channel(by: Actor, kind: str = "webhook", **fields: Any) -> Channel:
    given = {"name": f"{kind} {Channel.objects.count()}", "address": ADDRESS, **fields}
    return create_channel(actor=by, kind=kind, fields=given).channel


def told(to: Channel) -> list[str]:
    return list(Delivery.objects.filter(channel=to.key).order_by("created_at").values_list("event", flat=True))


class TestWhichAlerts:
    def test_what_is_raised_and_resolved_is_told_once_each(self, watched: Version, author: Actor) -> None:
        to = channel(author)
        (alert,) = raised(watched)
        raised(watched)  # counts up
        assert told(to) == ["alert.raised"]
        resolve_alert(alert, actor=author)
        assert told(to) == ["alert.raised", "alert.resolved"]
        channels.tell(alert, channels.RAISED)  # said twice
        channels.tell(alert, channels.RESOLVED)
        assert told(to) == ["alert.raised", "alert.resolved"]

    def test_an_escalation_passes_each_time(self, watched: Version, author: Actor) -> None:
        to = channel(author)
        (alert,) = raised(watched)
        channels.tell(alert, channels.ESCALATED)
        channels.tell(alert, channels.ESCALATED)
        assert told(to) == ["alert.raised", "alert.escalated", "alert.escalated"]

    def test_only_what_is_severe_enough(self, watched: Version, author: Actor) -> None:
        to = channel(author, min_severity="high")
        raised(watched, finding("quality", "age"), finding("drift"), finding("performance", "recall"))
        severities = Message.objects.filter(channel=to).values_list("alert__severity", flat=True)
        assert sorted(severities) == ["critical", "high"]

    def test_only_the_events_that_it_asks_for(self, watched: Version, author: Actor) -> None:
        to = channel(author, events=["resolved", "raised"])
        assert to.events == ["raised", "resolved"]
        (alert,) = raised(watched)
        channels.tell(alert, channels.ASSIGNED)
        channels.tell(alert, channels.ESCALATED)
        assert told(to) == ["alert.raised"]

    def test_only_its_own_models_and_team(self, watched: Version, author: Actor) -> None:
        from registry.services import create_model

        other = create_model(actor=author, name="other", task_type="classification")
        mine, others = channel(author, models=["high_cost"]), channel(author, models=[other.name])
        foreign = channel(actor("zoe", "ml_engineer", team="others"))
        raised(watched)
        assert [told(each) for each in (mine, others, foreign)] == [["alert.raised"], [], []]

    def test_an_end_is_told_only_to_who_was_told_the_beginning(self, watched: Version, author: Actor) -> None:
        (alert,) = raised(watched)
        late = channel(author)
        resolve_alert(alert, actor=author)
        assert told(late) == []

    def test_nothing_is_told_of_what_is_silenced_or_to_what_is_off(self, watched: Version, author: Actor) -> None:
        to, off = channel(author), channel(author, enabled=False)
        (alert,) = raised(watched)
        assert told(off) == []
        silence_alert(alert, actor=author, hours=1)
        resolve_alert(alert, actor=author)
        raised(watched)
        assert told(to) == ["alert.raised", "alert.resolved"]

    def test_the_operators_webhook_needs_no_set_up(self, watched: Version, settings: Any) -> None:
        settings.MONITORING_WEBHOOK_URL = "http://127.0.0.1:9/hook"
        raised(watched)
        assert list(Delivery.objects.values_list("channel", flat=True)) == ["monitoring_webhook"]


class TestHours:
    NIGHT = (time(22), time(7))

    @pytest.mark.parametrize(
        ("at", "zone", "due"),
        [
            ("2026-01-05T12:00", "UTC", "2026-01-05T12:00"),
            ("2026-01-05T22:00", "UTC", "2026-01-06T07:00"),
            ("2026-01-06T06:59", "UTC", "2026-01-06T07:00"),
            ("2026-01-06T07:00", "UTC", "2026-01-06T07:00"),
            ("2026-01-05T21:30", "Europe/Zurich", "2026-01-06T06:00"),  # 22:30 there
            ("2026-07-05T20:30", "Europe/Zurich", "2026-07-06T05:00"),  # in summer
            ("2026-01-05T14:00", "Asia/Kolkata", "2026-01-05T14:00"),  # 19:30
            ("2026-01-05T17:00", "Asia/Kolkata", "2026-01-06T01:30"),  # 22:30
            ("2026-03-29T00:30", "Europe/Zurich", "2026-03-29T05:00"),  # the clock goes from 2 to 3 that night
            ("2026-10-24T22:30", "Europe/Zurich", "2026-10-25T06:00"),  # and back from 3 to 2
            ("2026-01-06T05:00", "America/New_York", "2026-01-06T12:00"),  # midnight there
        ],
    )
    def test_quiet_over_midnight(self, at: str, zone: str, due: str) -> None:
        found = due_at(datetime.fromisoformat(f"{at}+00:00"), quiet=self.NIGHT, zone=zone)
        assert found.isoformat(timespec="minutes") == f"{due}+00:00"

    def test_quiet_within_a_day(self) -> None:
        lunch = (time(12), time(13))
        assert due_at(MONDAY, quiet=lunch) == datetime(2026, 1, 5, 13, tzinfo=UTC)
        assert due_at(MONDAY.replace(hour=13), quiet=lunch) == MONDAY.replace(hour=13)

    @pytest.mark.parametrize(
        ("digest", "zone", "quiet", "due"),
        [
            ("hourly", "UTC", None, "2026-01-05T13:00"),
            ("hourly", "Asia/Kolkata", None, "2026-01-05T13:00"),
            ("hourly", "UTC", (time(12, 45), time(14)), "2026-01-05T14:00"),
            ("daily", "UTC", None, "2026-01-06T08:00"),
            ("daily", "America/New_York", None, "2026-01-05T13:00"),  # 7:30 there
            ("daily", "Europe/Zurich", (time(20), time(9)), "2026-01-06T08:00"),
        ],
    )
    def test_digests(self, digest: str, zone: str, quiet: Any, due: str) -> None:
        found = due_at(MONDAY, digest=digest, zone=zone, quiet=quiet)
        assert found.isoformat(timespec="minutes") == f"{due}+00:00"


class TestHeld:
    def test_a_digest_tells_each_alert_once_worst_first(self, watched: Version, author: Actor) -> None:
        to = channel(author, digest="hourly")
        (first,) = raised(watched, finding("quality", "age"))
        raised(watched, finding("drift"))
        resolve_alert(first, actor=author)
        assert told(to) == []
        assert send_held(timezone.now()) == 0
        later = timezone.now() + timedelta(hours=1)
        assert send_held(later) == 1
        assert send_held(later) == 0
        digest = Delivery.objects.get(channel=to.key)
        assert (digest.event, digest.subject) == ("alert.digest", to.subject)
        said = [(each["severity"], each["type"], each["events"]) for each in digest.body["alerts"]]
        assert said == [
            ("high", "alert.raised", ["alert.raised"]),
            ("medium", "alert.resolved", ["alert.raised", "alert.resolved"]),
        ]
        assert set(Message.objects.values_list("delivery", flat=True)) == {digest.pk}

    def test_one_message_is_told_as_itself(self, watched: Version, author: Actor) -> None:
        to = channel(author, digest="daily")
        (alert,) = raised(watched)
        send_held(timezone.now() + timedelta(days=1))
        delivery = Delivery.objects.get(channel=to.key)
        assert (delivery.event, delivery.subject) == ("alert.raised", alert.subject)

    def test_critical_passes_unless_told_otherwise(self, watched: Version, author: Actor) -> None:
        now = timezone.now()
        around: dict[str, Any] = {
            "quiet_from": (now - timedelta(hours=1)).time(),
            "quiet_until": (now + timedelta(hours=1)).time(),
        }
        passing = channel(author, digest="daily", **around)
        holding = channel(author, critical_passes=False, **around)
        raised(watched, finding("performance", "recall"), finding("drift"))
        assert (told(passing), told(holding)) == (["alert.raised"], [])
        assert list(Message.objects.filter(channel=holding).values_list("delivery", flat=True)) == [None, None]
        until = Message.objects.filter(channel=holding).latest("due_at").due_at
        assert timedelta(minutes=58) < until - now < timedelta(hours=1, seconds=1)

    def test_what_is_switched_off_meanwhile_is_not_sent(self, watched: Version, author: Actor) -> None:
        to = channel(author, digest="hourly")
        raised(watched)
        change_channel(to, actor=author, fields={"enabled": False})
        assert send_held(timezone.now() + timedelta(hours=1)) == 0
        assert (told(to), Message.objects.count()) == ([], 0)

    @pytest.mark.postgres
    @pytest.mark.django_db(transaction=True)
    def test_two_sweeps_at_the_same_moment_send_one_digest(self, watched: Version, author: Actor) -> None:
        to, start = channel(author, digest="hourly"), threading.Barrier(4)
        raised(watched, *(finding("quality", f"feature {n}") for n in range(20)))

        def sweep() -> None:
            start.wait()
            send_held(timezone.now() + timedelta(hours=1))
            connection.close()

        threads = [threading.Thread(target=sweep) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert told(to) == ["alert.digest"]


class TestDelivery:
    """Against real receivers on this machine, which the operator has allowed."""

    @pytest.fixture(autouse=True)
    def _allowed(self, settings: Any) -> None:
        settings.CHANNEL_HOSTS = ["127.0.0.1"]

    @pytest.mark.parametrize(
        ("vice", "status", "words"),
        [
            (500, 500, "127.0.0.1 answered 500: no good: …"),
            ("hang", None, "127.0.0.1 did not answer within 0.3 s"),
            ("drip", None, "127.0.0.1 did not answer within 0.3 s"),
            ("redirect", 302, "127.0.0.1 answered 302, a redirect, which is not followed"),
        ],
    )
    def test_a_bad_channel_is_tried_again_and_disturbs_nothing(
        self, watched: Version, author: Actor, monkeypatch: pytest.MonkeyPatch, vice: Any, status: Any, words: str
    ) -> None:
        monkeypatch.setattr(webhooks, "TIMEOUT_SECS", 0.3)
        with receiver(vice) as bad, receiver(200) as good:
            broken, sound = channel(author, address=bad.url), channel(author, "slack", address=good.url)
            raised(watched, finding("drift"), finding("volume"))
            send_due()
            assert Alert.objects.count() == 2
            assert [d.state for d in Delivery.objects.filter(channel=sound.key)] == ["delivered"] * 2
            first = Delivery.objects.filter(channel=broken.key).order_by("created_at")[0]
            assert (first.state, first.attempts, first.status_code, first.error) == ("pending", 1, status, words)
            assert len(bad.got) == 1  # the pass goes on without it

    def test_it_is_given_up_and_sent_again_by_hand(self, watched: Version, author: Actor) -> None:
        with receiver(*[500] * webhooks.ATTEMPTS, 200) as server:
            to = channel(author, address=server.url)
            raised(watched)
            clock = timezone.now()
            for _ in range(webhooks.ATTEMPTS):
                clock += timedelta(hours=2)
                assert send_due(clock) == 1
            given_up = Delivery.objects.get(channel=to.key)
            assert (given_up.state, given_up.attempts, given_up.status_code) == (DeliveryState.FAILED, 8, 500)
            assert send_due(clock + timedelta(days=9)) == 0
            redeliver(given_up, actor=author)
            assert send_due() == 1
            given_up.refresh_from_db()
            assert (given_up.state, given_up.attempts, given_up.error) == (DeliveryState.DELIVERED, 9, "")
            with pytest.raises(Conflict, match="only one that was given up"):
                redeliver(given_up, actor=author)
        assert {headers["webhook-id"] for _, headers, _ in server.got} == {str(given_up.pk)}

    def test_a_test_is_real_and_tried_once(self, author: Actor) -> None:
        with receiver(500) as server:
            to = channel(author, address=server.url, digest="daily", quiet_from=time(0), quiet_until=time(23, 59))
            delivery = try_channel(to, actor=author)
            send_due()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts, delivery.error) == (
            "failed",
            1,
            "127.0.0.1 answered 500: no good: …",
        )
        ((_, _, body),) = server.got
        assert (body["type"], body["channel"]) == ("channel.test", to.name)

    def test_a_channel_that_is_off_can_be_tried(self, author: Actor) -> None:
        with receiver(200) as server:
            try_channel(channel(author, address=server.url, enabled=False), actor=author)
            send_due()
        assert len(server.got) == 1

    def test_what_waits_ends_with_the_channel_and_the_log_stays(self, watched: Version, author: Actor) -> None:
        to, held = channel(author), channel(author, digest="hourly")
        raised(watched)
        for each in (to, held):
            delete_channel(each, actor=author)
        key = Delivery.objects.get()
        assert (key.state, key.error) == (DeliveryState.FAILED, "the channel was deleted")
        assert not Message.objects.filter(delivery=None).exists()
        assert send_held(timezone.now() + timedelta(hours=2)) == 0
        assert set(Channel.objects.values_list("address", "secret", "enabled")) == {("", "", False)}
        assert channel(author, name=to.name).pk != to.pk  # the name is free
        with pytest.raises(NotFound, match="any more"):
            change_channel(to, actor=author, fields={"enabled": True})

    def test_a_channel_that_is_deleted_as_an_alert_is_raised_disturbs_nothing(
        self, watched: Version, author: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        to, wanted = channel(author), routing.wants

        def deleted_first(chosen: Channel, news: routing.News) -> bool:
            delete_channel(chosen, actor=author)
            return wanted(chosen, news)

        monkeypatch.setattr(routing, "wants", deleted_first)
        raised(watched)
        monkeypatch.undo()
        send_due()
        assert (Alert.objects.count(), Delivery.objects.get(channel=to.key).error) == (1, "the channel was deleted")

    def test_an_address_sealed_under_another_key_is_said(self, author: Actor, settings: Any) -> None:
        to = channel(author)
        settings.SECRET_KEY = "another key altogether, of a restored copy"
        try_channel(to, actor=author)
        send_due()
        assert Delivery.objects.get().error == (
            "the address cannot be read: it was sealed under another SECRET_KEY; set it again"
        )
        settings.SECRET_KEY_FALLBACKS = ["a SECRET_KEY that guards nothing but tests"]
        assert seals.unseal(Channel.objects.get().address) == ADDRESS

    def test_an_error_of_the_sender_itself_ends_nothing(
        self, watched: Version, author: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("monitoring.channels.slack.payload", lambda body: 1 / 0)
        with receiver(200) as server:
            broken, sound = channel(author, "slack", address=server.url), channel(author, address=server.url)
            raised(watched)
            send_due()
        assert Delivery.objects.get(channel=broken.key).error == "it could not be sent: ZeroDivisionError"
        assert Delivery.objects.get(channel=sound.key).state == "delivered"


class TestInbox:
    def titles(self, name: str) -> list[str]:
        rows = Notification.objects.filter(recipient__username=name).order_by("pk")
        return list(rows.values_list("title", flat=True))

    def test_without_a_channel_those_who_handle_alerts_are_told(self, watched: Version, author: Actor) -> None:
        for name, role in (("ben", "approver"), ("vic", "viewer"), ("app", "service")):
            actor(name, role)
        (alert,) = raised(watched)
        resolve_alert(alert, actor=author)
        expected = ["[high] high_cost: drift of the model", "[high] high_cost: Resolved: drift of the model"]
        assert self.titles("author") == self.titles("ben") == expected
        assert self.titles("vic") == self.titles("app") == []
        assert not Delivery.objects.exists()

    def test_a_channel_names_people_and_roles(self, watched: Version, author: Actor) -> None:
        for name, role in (("ben", "approver"), ("vic", "viewer"), ("eve", "viewer")):
            actor(name, role)
        to = channel(author, "inbox", address="vic, approver", min_severity="high")
        assert to.place == "vic, approver"
        raised(watched, finding("drift"), finding("volume"))
        assert [len(self.titles(name)) for name in ("ben", "vic", "eve", "author")] == [1, 1, 0, 0]
        log = Delivery.objects.get(channel=to.key)
        assert (log.state, log.event) == (DeliveryState.DELIVERED, "alert.raised")

    def test_a_digest_is_one_line(self, watched: Version, author: Actor) -> None:
        channel(author, "inbox", address="", digest="hourly")
        raised(watched, finding("drift"), finding("volume"))
        assert self.titles("author") == []
        send_held(timezone.now() + timedelta(hours=1))
        assert self.titles("author") == ["2 alerts"]

    def test_whoever_gets_it_is_told_in_person(self, watched: Version, author: Actor) -> None:
        ben, vic = actor("ben", "approver"), actor("vic", "viewer")
        channel(author, "inbox", address="vic", events=["raised"])
        (alert,) = raised(watched)
        given: Any = alert
        given.assignee, given.escalated_to = user(author), "approver"
        channels.tell(given, channels.ASSIGNED)
        channels.tell(given, channels.ESCALATED)
        assert self.titles("author") == ["[high] You have it now: drift of the model"]
        assert self.titles(ben.name) == ["[high] It has come to you, for nobody looks at it yet: drift of the model"]
        assert len(self.titles(vic.name)) == 1

    def test_it_is_written_or_undone_with_the_alert(self, watched: Version, author: Actor) -> None:
        from django.db import transaction

        to = channel(author)
        with pytest.raises(RuntimeError), transaction.atomic():
            raised(watched)
            raise RuntimeError
        assert (told(to), Notification.objects.count(), Message.objects.count()) == ([], 0, 0)


class TestSettingUp:
    BAD: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({"name": ""}, "name", "required"),
        ({"name": "a\nb"}, "name", "bad_name"),
        ({"name": "x" * 81}, "name", "bad_name"),
        ({"name": "a\u202eb"}, "name", "control_character"),
        ({"address": ""}, "address", "required"),
        ({"address": "http://hooks.example.com/"}, "address", "bad_address"),
        ({"address": "https://10.0.0.1/"}, "address", "bad_address"),
        ({"address": "https://localhost:8007/api"}, "address", "bad_address"),
        ({"address": "x" * 5000}, "address", "too_long"),
        ({"min_severity": "urgent"}, "min_severity", "unknown_min_severity"),
        ({"events": []}, "events", "required"),
        ({"events": ["raised", "born"]}, "events", "unknown_events"),
        ({"digest": "weekly"}, "digest", "unknown_digest"),
        ({"quiet_from": time(22)}, "quiet_until", "quiet_hours"),
        ({"quiet_until": time(22)}, "quiet_from", "quiet_hours"),
        ({"quiet_from": time(22), "quiet_until": time(22)}, "quiet_until", "quiet_hours"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "unknown_time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone", "unknown_time_zone"),
        ({"models": ["unknown"]}, "models", "unknown_model"),
    )

    @pytest.mark.parametrize(("fields", "field", "code"), BAD)
    def test_what_is_wrong_is_named(self, author: Actor, fields: dict[str, Any], field: str, code: str) -> None:
        with pytest.raises(Invalid) as refused:
            channel(author, **fields)
        ((at, found, _),) = refused.value.errors
        assert (at, found) == (field, code)
        assert not Channel.objects.exists()

    def test_kinds_and_their_addresses(self, author: Actor, settings: Any) -> None:
        for kind, address, code in (
            ("pigeon", ADDRESS, "unknown_kind"),
            ("inbox", "nobody", "unknown_person"),
            ("inbox", ", ".join(["author"] * 51), "too_many"),
            ("mail", "ada@example.org", "no_mail_server"),
            ("apprise", "json://10.0.0.1/", "unknown_place"),
            ("apprise", "pager", "unknown_place"),
        ):
            with pytest.raises(Invalid) as refused:
                channel(author, kind, address=address)
            assert refused.value.code == code, (kind, address)
        settings.EMAIL_HOST = "127.0.0.1"
        for address in ("ada", "ada@example.org, ada@", ",", ", ".join(f"a{n}@example.org" for n in range(21))):
            with pytest.raises(Invalid, match="address must"):
                channel(author, "mail", address=address)
        assert channel(author, "mail", address="ada@example.org; ben@example.org").place == (
            "ada@example.org, ben@example.org"
        )

    def test_only_an_engineer_of_the_team_sets_one_up(self, author: Actor) -> None:
        to = channel(author)
        for who in (actor("ben", "approver"), actor("vic", "viewer"), actor("tom", "admin")):
            for deed in (
                lambda who: channel(who),
                lambda who: change_channel(to, actor=who, fields={"enabled": False}),
                lambda who: try_channel(to, actor=who),
                lambda who: delete_channel(to, actor=who),
            ):
                with pytest.raises(Forbidden):
                    deed(who)
        assert AuditRecord.objects.filter(action="channel.set.refused").count() > 0

    def test_a_name_is_taken_once_a_team(self, author: Actor) -> None:
        channel(author, name="on call")
        with pytest.raises(Conflict, match="has a channel 'on call' already"):
            channel(author, name="on call")
        channel(actor("zoe", "ml_engineer", team="others"), name="on call")

    def test_an_address_is_sealed_and_an_empty_one_stays(self, author: Actor) -> None:
        to = channel(author)
        assert "s3cret" not in to.address
        assert to.place == "hooks.example.com"
        change_channel(to, actor=author, fields={"address": "", "name": "renamed"})
        assert seals.unseal(Channel.objects.get().address) == ADDRESS
        change_channel(to, actor=author, fields={"address": "https://other.example.com/x"})
        assert (Channel.objects.get().place, seals.unseal(Channel.objects.get().address)) == (
            "other.example.com",
            "https://other.example.com/x",
        )

    def test_what_was_done_is_recorded_without_the_address(self, author: Actor) -> None:
        to = channel(author)
        try_channel(to, actor=author)
        delete_channel(to, actor=author)
        records = AuditRecord.objects.filter(action__startswith="channel.")
        assert [r.action for r in records.order_by("seq")] == ["channel.created", "channel.tried", "channel.deleted"]
        assert not any("s3cret" in r.body or "whsec" in r.body for r in records)

    def test_a_team_has_at_most_fifty(self, author: Actor) -> None:
        team = user(author).memberships.get().team
        Channel.objects.bulk_create(
            Channel(team=team, name=str(n), kind="webhook", created_by=user(author)) for n in range(50)
        )
        with pytest.raises(Conflict, match="50 channels already"):
            channel(author)
