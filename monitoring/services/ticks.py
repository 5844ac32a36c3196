"""The rows from which Beat reads people's schedules (ADR 11)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django_celery_beat.models import IntervalSchedule, PeriodicTask

from monitoring.models import RetrainPolicy
from monitoring.selectors.policies import RETRAINING

EVERY_MODEL = "monitoring: every model, hourly"
_PERIODS = {"days": timedelta(days=1), "hours": timedelta(hours=1), "minutes": timedelta(minutes=1)}


def make_schedules() -> None:
    """Those that every install starts with; one that is there stays as its operator has set it."""
    hourly = {"task": "monitoring.run_all", "interval": interval_of(timedelta(hours=1)), "expire_seconds": 3600}
    about = "A report on the last 24 hours of every model in production."
    PeriodicTask.objects.get_or_create(name=EVERY_MODEL, defaults={**hourly, "description": about})


def keep_schedule(policy: RetrainPolicy) -> None:
    """The row of a policy's interval as the policy says; switched off, the row keeps the interval it had."""
    name, model = f"{RETRAINING}{policy.model.name}", policy.model.name
    if policy.scheduled_interval is None:
        for row in PeriodicTask.objects.filter(name=name, enabled=True):
            row.enabled = False
            row.save()
        return
    fields: dict[str, Any] = {
        "task": "monitoring.retrain_on_schedule",
        "args": json.dumps([model]),
        "interval": interval_of(policy.scheduled_interval),
        "enabled": policy.enabled,
        "description": f"Train {model} again by its retrain policy, which holds the interval.",
    }
    PeriodicTask.objects.update_or_create(name=name, defaults=fields)


def interval_of(length: timedelta) -> IntervalSchedule:
    """The interval's row, in the largest unit that holds it whole."""
    period, unit = next((period, unit) for period, unit in _PERIODS.items() if not length % unit)
    row: IntervalSchedule = IntervalSchedule.objects.get_or_create(every=length // unit, period=period)[0]
    return row


def length_of(row: PeriodicTask) -> timedelta:
    """How often a row fires."""
    return timedelta(**{row.interval.period: row.interval.every})
