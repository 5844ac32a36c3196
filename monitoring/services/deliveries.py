"""The end of deliveries after their time: what arrived or was given up long ago is of no more use."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.choices import DeliveryState
from mlops_site.core.models import Delivery
from mlops_site.core.permissions import Actor
from monitoring.choices import UNRESOLVED
from monitoring.models import Alert, Message

BATCH = 5_000  # rows that go in a transaction
RETENTION = Actor.system("retention")
ENDED = (DeliveryState.DELIVERED, DeliveryState.FAILED)


def end_deliveries(now: datetime | None = None) -> int:
    """Delete what is older than DELIVERY_RETENTION_DAYS (0: nothing), in batches, each with its audit record; how many.
    What tells of an alert that nobody has resolved stays: its end is told to who was told of its beginning."""
    if not settings.DELIVERY_RETENTION_DAYS:
        return 0
    before, total = (now or timezone.now()) - timedelta(days=settings.DELIVERY_RETENTION_DAYS), 0
    while gone := _one_batch(_old(before), before):
        total += gone
    return total


def _old(before: datetime) -> QuerySet[Delivery]:
    open_alerts = Alert.objects.filter(status__in=UNRESOLVED)
    rows = Delivery.objects.filter(state__in=ENDED, created_at__lt=before)
    rows = rows.exclude(subject__in=[alert.subject for alert in open_alerts.only("pk")])
    kept = Message.objects.filter(alert__in=open_alerts).exclude(delivery=None)
    return rows.exclude(pk__in=kept.values("delivery")).order_by("created_at")


def _one_batch(rows: QuerySet[Delivery], before: datetime) -> int:
    with events.atomic():
        keys = list(rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:BATCH])
        if keys:
            Message.objects.filter(delivery__in=keys).delete()
            Delivery.objects.filter(pk__in=keys).delete()
            data = {"before": before.isoformat(), "deliveries": len(keys)}
            events.record("deliveries.ended", actor=RETENTION, subject="deliveries", data=data)
    return len(keys)
