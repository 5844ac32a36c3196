"""What follows from facts: bells that are rung, rows that are kept true."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections, transaction

from mlops_site.core.permissions import Actor
from monitoring import selectors, services, tasks
from monitoring.channels import notices
from monitoring.models import Alert
from monitoring.services.ticks import make_schedules
from monitoring.signals import Folded
from registry.models import Incident, Review, Version


def ring_policy(*, alert: Alert, **_: Any) -> None:
    """An alert was raised, or again: see what the retrain policy makes of it. A broker that is down delays it until
    the hourly evaluation."""
    transaction.on_commit(lambda: tasks.evaluate_alert.delay(str(alert.pk)), robust=True)


def raise_revalidation(*, review: Review, **_: Any) -> None:
    """The day of a condition has passed."""
    services.raise_revalidation(review)


def resolve_revalidation(*, review: Review, actor: Actor, note: str, **_: Any) -> None:
    """The condition was closed."""
    services.resolve_revalidation(review, actor=actor, comment=note)


def tell_incident(*, incident: Incident, body: dict[str, Any], **_: Any) -> None:
    """It was opened or closed."""
    notices.tell_incident(incident, body)


def add_evidence(*, version: Version, **_: Any) -> dict[str, Any]:
    """What production says of the data that a candidate was trained on."""
    return {"production_inputs": selectors.production_inputs(version)}


def count_totals(*, folded: list[Folded], **_: Any) -> None:
    """Answers and labels were added to the buckets: add them to the running sums too."""
    services.count_totals(folded)


def install_schedules(sender: AppConfig, using: str = "default", **_: Any) -> None:
    """After `migrate`: the schedules that every install starts with."""
    if "django_celery_beat_periodictask" in connections[using].introspection.table_names():
        make_schedules()
