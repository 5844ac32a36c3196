"""Intervals of the rows from which Beat reads people's schedules (ADR 11)."""

from __future__ import annotations

from datetime import timedelta

from django_celery_beat.models import IntervalSchedule, PeriodicTask

_PERIODS = {"days": timedelta(days=1), "hours": timedelta(hours=1), "minutes": timedelta(minutes=1)}


def interval_of(length: timedelta) -> IntervalSchedule:
    """The interval's row, in the largest unit that holds it whole."""
    period, unit = next((period, unit) for period, unit in _PERIODS.items() if not length % unit)
    row: IntervalSchedule = IntervalSchedule.objects.get_or_create(every=length // unit, period=period)[0]
    return row


def length_of(row: PeriodicTask) -> timedelta:
    """How often a row fires."""
    return timedelta(**{row.interval.period: row.interval.every})
