"""Deliveries to other people's servers and mailboxes. The row is the queue: claimed by conditional UPDATE under a
lease, sent outside any transaction, tried again later. At least once: `webhook-id` is the same for every try, so
that a receiver can tell a repeat."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from mlops_site.core import http, signals
from mlops_site.core.choices import DeliveryState
from mlops_site.core.models import Delivery, Team

log = logging.getLogger(__name__)
TIMEOUT_SECS = 5.0
BELL_SECS = 10.0  # as often as Beat rings
LEASE_SECS = 30.0  # longer than any attempt: only a sender that was killed loses it
RETRY_SECS = (10, 30, 120, 600, 1800, 3600, 3600)
ATTEMPTS = len(RETRY_SECS) + 1
PASS = 100  # deliveries of one pass
PASS_SECS = 5.0  # after which it ends: workers have more to do, and Beat rings again


def enqueue(
    *, channel: str, subject: str, team: Team, event: str, body: dict[str, Any], most_attempts: int = ATTEMPTS
) -> Delivery:
    """A delivery due at once, in the transaction of what it tells. `channel` "x" goes to the address in settings.X_URL
    as it is when it is sent; "x:y" is sent by the function that settings.DELIVERERS names for "x"."""
    if not connection.in_atomic_block:
        raise RuntimeError(f"{event} of {subject} must be enqueued in the transaction of what it tells")
    about = {"channel": channel, "subject": subject, "team": team, "event": event, "body": body}
    delivery = Delivery.objects.create(**about, most_attempts=most_attempts)
    signals.delivery_enqueued.send(sender=Delivery, delivery=delivery)
    return delivery


def send_due(now: datetime | None = None) -> int:
    """Send what is due and answer how many attempts were made. `now` stands for the database's clock.

    A channel has one delivery on its way at a time, and its pass ends at the first failure; a team with one comes after
    the others. So a receiver that hangs holds up one worker for one time limit, and many that hang hold up their own
    team alone. Of a team that has had a failure, what is left when the time is over is for the next bell.
    """
    clock: Any = now or Now()
    tired, late = set[str](), set[int]()
    deadline = time.monotonic() + PASS_SECS
    for sent in range(PASS):
        due = _due(clock).exclude(channel__in=tired)
        delivery = _claimed(due.exclude(team__in=late), clock) if late else None
        if delivery is None and time.monotonic() < deadline:
            delivery = _claimed(due, clock)
        if delivery is None:
            return sent
        if not _attempt(delivery, clock):
            tired.add(delivery.channel)
            late.add(delivery.team_id)
    return PASS


def _due(clock: Any) -> QuerySet[Delivery]:
    free = Q(lease_until=None) | Q(lease_until__lte=clock)
    pending = Delivery.objects.filter(state=DeliveryState.PENDING)
    on_its_way = pending.filter(channel=OuterRef("channel"), lease_until__gt=clock)
    return pending.filter(free, ~Exists(on_its_way), next_at__lte=clock)


def _claimed(due: QuerySet[Delivery], clock: Any) -> Delivery | None:
    """The oldest delivery that is due and could be taken. The number of attempts is the fencing token."""
    for delivery in due.select_related(None).order_by("next_at", "created_at")[:10]:
        free = Delivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts, state=DeliveryState.PENDING)
        if free.update(attempts=F("attempts") + 1, lease_until=clock + timedelta(seconds=LEASE_SECS)):
            delivery.attempts += 1
            return delivery
    return None


def _attempt(delivery: Delivery, clock: Any) -> bool:
    """One try, and what came of it. An answer that was taken counts whoever holds the row by now; a failure is written
    by its holder alone."""
    answer = _sent(delivery)
    rows = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.PENDING)
    said: dict[str, Any] = {"lease_until": None, "status_code": answer.status, "error": answer.error}
    if answer.ok:
        rows.update(state=DeliveryState.DELIVERED, delivered_at=clock, **said)
    elif delivery.attempts < delivery.most_attempts:
        wait = timedelta(seconds=RETRY_SECS[min(delivery.attempts, len(RETRY_SECS)) - 1])
        rows.filter(attempts=delivery.attempts).update(next_at=clock + wait, **said)
    else:
        rows.filter(attempts=delivery.attempts).update(state=DeliveryState.FAILED, **said)
    return answer.ok


def _sent(delivery: Delivery) -> http.Answer:
    """What is wrong with one deliverer is an answer: it must not end the pass that others' messages go with."""
    path = settings.DELIVERERS.get(delivery.channel.partition(":")[0])
    if path is None:
        return _post(delivery)
    try:
        deliver: Callable[[Delivery], http.Answer] = import_string(path)
        return deliver(delivery)
    except Exception as error:
        log.exception("%s failed", delivery)
        return http.Answer(None, f"it could not be sent: {type(error).__name__}")


def _post(delivery: Delivery) -> http.Answer:
    name = f"{delivery.channel.upper()}_URL"
    address = getattr(settings, name, "")
    if not address:
        return http.Answer(None, f"{name} is not set")
    headers = {"webhook-id": str(delivery.pk)}
    return http.post_json(address, delivery.body, headers=headers, timeout_secs=TIMEOUT_SECS)


def send_again(delivery: Delivery) -> bool:
    """Try once more, now, what was given up. False if it was not."""
    given_up = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.FAILED)
    again = {"state": DeliveryState.PENDING, "next_at": Now(), "most_attempts": F("attempts") + 1}
    if not given_up.update(**again):
        return False
    signals.delivery_enqueued.send(sender=Delivery, delivery=delivery)
    return True


def give_up(channel: str, why: str) -> None:
    """Try nothing more of what waits for a channel that is no more."""
    waiting = Delivery.objects.filter(channel=channel, state=DeliveryState.PENDING)
    waiting.update(state=DeliveryState.FAILED, lease_until=None, error=why)
