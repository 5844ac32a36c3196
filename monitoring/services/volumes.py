"""The hours of a day, kept when its buckets become one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from monitoring.models import Bucket, VolumeDay
from monitoring.selectors.volumes import has_hour
from registry.models import RegisteredModel


def keep_hours(model: RegisteredModel, day: datetime, finer: Iterable[Bucket]) -> None:
    """Add what the buckets of a day brought to its hours, in the caller's transaction. A bucket of what came too late
    to have an hour is left out."""
    timed = [bucket for bucket in finer if has_hour(bucket.started_at, bucket.span_secs)]
    if not timed:
        return
    VolumeDay.objects.bulk_create([VolumeDay(model=model, day=day.date(), hours=[0] * 24)], ignore_conflicts=True)
    row = VolumeDay.objects.select_for_update().get(model=model, day=day.date())
    for bucket in timed:
        row.hours[bucket.started_at.hour] += bucket.rows
    row.save(update_fields=["hours"])
