"""Deliveries: claimed under a lease, retried, given up; against real local receivers."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from mlops_site.core import http, webhooks
from mlops_site.core.choices import DeliveryState
from mlops_site.core.http import Answer
from mlops_site.core.models import Delivery, Team
from mlops_site.core.webhooks import ATTEMPTS, LEASE_SECS, RETRY_SECS, enqueue, send_due
from tests.core.receivers import Receiver, receiver
from tests.kept import kept_fixture
from tests.processes import free_port

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@kept_fixture
def team(db: None) -> Team:
    return Team.objects.create(name="claims")


def delivery(team: Team, number: int = 1, channel: str = "monitoring_webhook") -> Delivery:
    with transaction.atomic():
        made = enqueue(channel=channel, subject=f"alert:{number}", team=team, event="alert.raised", body={"n": number})
    at = NOW + timedelta(milliseconds=number)
    Delivery.objects.filter(pk=made.pk).update(next_at=at - timedelta(seconds=1), created_at=at)
    return made


def row(made: Delivery) -> Delivery:
    return Delivery.objects.get(pk=made.pk)


def after(secs: float) -> datetime:
    return NOW + timedelta(seconds=secs)


def use(server: Receiver, settings: Any) -> None:
    settings.MONITORING_WEBHOOK_URL = server.url


def test_what_is_taken_is_delivered_once(team: Team, settings: Any) -> None:
    made = delivery(team)
    with receiver(200) as server:
        use(server, settings)
        assert send_due(NOW) == 1
        assert send_due(after(1e6)) == 0
    now = row(made)
    assert (now.state, now.attempts, now.status_code, now.error) == (DeliveryState.DELIVERED, 1, 200, "")
    assert (now.delivered_at, now.lease_until) == (NOW, None)
    ((_, headers, body),) = server.got
    assert (headers["webhook-id"], body) == (str(made.pk), {"n": 1})


def test_it_is_sent_by_the_databases_clock(team: Team, settings: Any) -> None:
    made = delivery(team)
    Delivery.objects.update(next_at=timezone.now())
    with receiver(200) as server:
        use(server, settings)
        assert send_due() == 1
    delivered = row(made).delivered_at
    assert delivered is not None
    assert abs(timezone.now() - delivered) < timedelta(seconds=10)


def test_two_failures_then_success_under_the_same_id(team: Team, settings: Any) -> None:
    made = delivery(team)
    with receiver(500, 500, 200) as server:
        use(server, settings)
        assert [send_due(after(secs)) for secs in (0, 9, 10, 39, 40)] == [1, 0, 1, 0, 1]
    now = row(made)
    assert (now.state, now.attempts, now.error) == (DeliveryState.DELIVERED, 3, "")
    assert {headers["webhook-id"] for _, headers, _ in server.got} == {str(made.pk)}
    assert len(server.got) == 3


def test_it_is_given_up_after_eight_attempts_with_the_reason(team: Team, settings: Any) -> None:
    settings.MONITORING_WEBHOOK_URL = f"http://127.0.0.1:{free_port()}/hook"
    made, clock = delivery(team), NOW
    waits = []
    for _ in range(ATTEMPTS):
        assert send_due(clock) == 1
        waits.append((row(made).next_at - clock).total_seconds())
        clock = max(row(made).next_at, clock)
    assert tuple(waits[:-1]) == RETRY_SECS == (10, 30, 120, 600, 1800, 3600, 3600)
    now = row(made)
    assert (now.state, now.attempts, now.lease_until) == (DeliveryState.FAILED, 8, None)
    assert now.error == "127.0.0.1 could not be reached: Connection refused"
    assert send_due(after(1e6)) == 0


@pytest.mark.parametrize("vice", ["hang", "drip", "redirect"])
def test_a_bad_receiver_costs_one_attempt_of_one_delivery(
    team: Team, settings: Any, monkeypatch: pytest.MonkeyPatch, vice: str
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECS", 0.3)
    first, second = delivery(team, 1), delivery(team, 2)
    with receiver(vice, 200) as bad, receiver(200) as good:
        settings.MONITORING_WEBHOOK_URL, settings.OTHER_URL = bad.url, good.url
        other = delivery(team, 3, channel="other")
        assert send_due(NOW) == 2
        assert (row(first).state, row(first).attempts) == (DeliveryState.PENDING, 1)
        assert (row(second).state, row(second).attempts) == (DeliveryState.PENDING, 0)
        assert row(other).state == DeliveryState.DELIVERED
        assert send_due(after(10)) == 2
    assert set(Delivery.objects.values_list("state", flat=True)) == {DeliveryState.DELIVERED}


def test_many_receivers_that_hang_hold_up_their_own_team_alone(
    team: Team, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECS", 0.3)
    monkeypatch.setattr(webhooks, "PASS_SECS", 0.5)
    others = Team.objects.create(name="others")
    with receiver("hang", "hang", "hang", "hang") as bad, receiver(200) as good:
        settings.GOOD_URL = good.url
        for number in range(4):
            setattr(settings, f"BAD{number}_URL", bad.url)
            delivery(team, number, channel=f"bad{number}")
        last = delivery(others, 9, channel="good")
        assert send_due(NOW) == 3  # one that hangs, the other team's, another that hangs; then the time is over
    assert row(last).state == DeliveryState.DELIVERED
    assert sum(Delivery.objects.filter(team=team).values_list("attempts", flat=True)) == 2


def test_an_address_that_was_taken_away_is_said(team: Team, settings: Any) -> None:
    settings.MONITORING_WEBHOOK_URL = ""
    made = delivery(team)
    send_due(NOW)
    assert (row(made).error, row(made).attempts) == ("MONITORING_WEBHOOK_URL is not set", 1)


def test_a_sender_that_was_killed_loses_its_lease_and_another_sends(
    team: Team, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = delivery(team)
    with receiver(200) as server, monkeypatch.context() as patch:
        use(server, settings)
        patch.setattr(http, "post_json", _die)
        with pytest.raises(KeyboardInterrupt):
            send_due(NOW)
        assert row(made).lease_until == after(LEASE_SECS)
        patch.undo()
        use(server, settings)
        assert send_due(after(LEASE_SECS - 1)) == 0
        assert send_due(after(LEASE_SECS)) == 1
    assert (row(made).state, row(made).attempts) == (DeliveryState.DELIVERED, 2)


def _die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt  # as SIGKILL: nothing is written after it


def test_one_who_lost_the_lease_cannot_write_a_failure_over_the_next_ones_work(
    team: Team, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = delivery(team)
    settings.MONITORING_WEBHOOK_URL = "http://127.0.0.1:1/"

    def slow(*_: Any, **__: Any) -> Answer:
        Delivery.objects.update(attempts=2, error="the next one's", lease_until=after(99))
        return Answer(500, "too late")

    monkeypatch.setattr(http, "post_json", slow)
    send_due(NOW)
    assert (row(made).error, row(made).attempts, row(made).lease_until) == ("the next one's", 2, after(99))


def test_a_channel_has_one_delivery_on_its_way(team: Team, settings: Any) -> None:
    first, second = delivery(team, 1), delivery(team, 2)
    Delivery.objects.filter(pk=first.pk).update(lease_until=after(20))
    with receiver(200) as server:
        use(server, settings)
        assert send_due(NOW) == 0
        assert send_due(after(20)) == 2
    assert [body["n"] for _, _, body in server.got] == [1, 2]
    assert row(second).attempts == 1


def test_it_is_enqueued_with_what_it_tells_or_not_at_all(
    team: Team, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = []
    monkeypatch.setattr("mlops_site.core.receivers.send_deliveries.apply_async", lambda expires: rung.append(expires))
    with django_capture_on_commit_callbacks(execute=True):
        delivery(team)
        assert rung == []
    assert rung == [webhooks.BELL_SECS]


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_enqueued(team: Team) -> None:
    with pytest.raises(RuntimeError, match="must be enqueued in the transaction"):
        enqueue(channel="x", subject="alert:1", team=team, event="alert.raised", body={})
    assert not Delivery.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_senders_send_each_delivery_once(settings: Any) -> None:
    """Without the number of attempts in the claim some arrive twice (tried)."""
    team = Team.objects.create(name="claims")
    for number in range(20):
        delivery(team, number)
    Delivery.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        while Delivery.objects.filter(state=DeliveryState.PENDING).exists():
            send_due()
        connection.close()

    with receiver(200) as server:
        use(server, settings)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(body["n"] for _, _, body in server.got) == list(range(20))
