"""Doorbells and system jobs of monitoring."""

from __future__ import annotations

from celery import shared_task
from django.db import close_old_connections, transaction
from django.utils import timezone

from monitoring import services

FOLD_SECS = 5.0  # Beat's interval


@shared_task(name="monitoring.fold")
def fold() -> None:
    """Fold what is queued. Any number of them share the work."""
    close_old_connections()
    services.fold_all()


@shared_task(name="monitoring.compact")
def compact() -> None:
    """Merge older buckets into hours and days."""
    close_old_connections()
    services.compact(timezone.now())


def ring_fold() -> None:
    """Fold once what was logged is committed. A broker that is down delays it until Beat rings."""
    transaction.on_commit(lambda: fold.apply_async(expires=FOLD_SECS), robust=True)
