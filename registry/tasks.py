"""System jobs of the registry."""

from __future__ import annotations

from celery import shared_task
from django.db import close_old_connections

from registry import services


@shared_task(name="registry.sweep_approvals")
def sweep_approvals() -> None:
    """Expiry, reminders and dates of revalidation."""
    close_old_connections()
    services.sweep_approvals()
