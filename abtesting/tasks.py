"""Doorbells and system jobs of experiments."""

from __future__ import annotations

from celery import shared_task
from django.db import close_old_connections

from abtesting.services import shadow


@shared_task(name="abtesting.score_shadows")
def score_shadows() -> None:
    """Let the challengers of shadow tests score what waits. Any number of them share the work."""
    close_old_connections()
    shadow.score_all()
