"""How much waits for workers and for other people's servers, and since when."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Min
from django.utils import timezone

from mlops_site.core import jobs
from mlops_site.core.choices import DeliveryState, JobState
from mlops_site.core.models import Delivery


class Depth(NamedTuple):
    """Rows of one kind in one state; `oldest_secs` is the age of the oldest, 0 where there is none."""

    kind: str
    state: str
    rows: int
    oldest_secs: float


def job_depths() -> list[Depth]:
    """Jobs that wait or run, by kind, zeros too; one query a kind, each read from the index of the sweep."""
    states, now = (JobState.QUEUED, JobState.RUNNING), timezone.now()
    found = []
    for model in sorted(jobs.kinds(), key=lambda each: each.kind):
        rows = model._default_manager.filter(state__in=states).order_by().values_list("state")
        counted = {state: (count, oldest) for state, count, oldest in rows.annotate(Count("pk"), Min("created_at"))}
        found += [_depth(model.kind, state, counted.get(state), now) for state in states]
    return found


def delivery_depths() -> list[Depth]:
    """Deliveries that wait or were given up, by the channel as their rows name it; one query."""
    states = (DeliveryState.PENDING, DeliveryState.FAILED)
    rows = Delivery.objects.filter(state__in=states).order_by("channel", "state").values_list("channel", "state")
    now = timezone.now()
    return [
        _depth(channel, state, (count, oldest), now)
        for channel, state, count, oldest in rows.annotate(Count("pk"), Min("created_at"))
    ]


def _depth(kind: str, state: str, counted: tuple[int, datetime] | None, now: datetime) -> Depth:
    rows, oldest = counted or (0, now)
    return Depth(kind, str(state), rows, max((now - oldest).total_seconds(), 0.0))
