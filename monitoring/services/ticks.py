"""The rows from which Beat reads people's schedules (ADR 11)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django_celery_beat.models import PeriodicTask

from mlops_site.core.beats import interval_of
from mlops_site.core.durations import spelt
from monitoring.models import MonitoringSchedule, RetrainPolicy
from monitoring.selectors.policies import RETRAINING
from monitoring.selectors.schedules import EVERY_MODEL, WATCHING
from registry.models import RegisteredModel


def make_schedules() -> None:
    """Those that every install starts with; one that is there stays as its operator has set it."""
    hourly = {"task": "monitoring.run_all", "interval": interval_of(timedelta(hours=1)), "expire_seconds": 3600}
    about = "A report on the last 24 hours of every model in production without a schedule of its own."
    PeriodicTask.objects.get_or_create(name=EVERY_MODEL, defaults={**hourly, "description": about})


def keep_monitoring(schedule: MonitoringSchedule) -> None:
    """The row of a model's own schedule as it says."""
    model = schedule.model.name
    fields: dict[str, Any] = {
        "task": "monitoring.run_model",
        "args": json.dumps([model]),
        "interval": interval_of(schedule.every),
        "enabled": schedule.enabled,
        "expire_seconds": round(schedule.every.total_seconds()),
        "description": f"A report on the last {spelt(schedule.window)} of {model}.",
    }
    PeriodicTask.objects.update_or_create(name=f"{WATCHING}{model}", defaults=fields)


def drop_monitoring(model: RegisteredModel) -> None:
    """The row goes with the model's own schedule."""
    PeriodicTask.objects.filter(name=f"{WATCHING}{model.name}").delete()


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
