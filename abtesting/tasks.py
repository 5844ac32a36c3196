"""Doorbells and system jobs of experiments."""

from __future__ import annotations

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from abtesting import services
from abtesting.services import shadow


@shared_task(name="abtesting.score_shadows")
def score_shadows() -> None:
    """Let the challengers of shadow tests score what waits. Any number of them share the work."""
    close_old_connections()
    shadow.score_all()


@shared_task(name="abtesting.watch")
def watch() -> None:
    """Look at the guardrails of what runs, and take the steps of ramps."""
    close_old_connections()
    services.check_running(timezone.now())
