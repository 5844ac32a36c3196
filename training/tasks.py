"""The doorbell and the system jobs of training."""

from __future__ import annotations

from celery import shared_task
from django.db import close_old_connections

from mlops_site.core.tasks import ring
from training import services

__all__ = ["ring"]


@shared_task(name="training.fetch_on_schedule")
def fetch_on_schedule(source_name: str) -> None:
    """A tick of a source's interval."""
    close_old_connections()
    if fetch := services.fetch_on_schedule(source_name):
        ring(fetch)


@shared_task(name="training.erase_expired")
def erase_expired() -> None:
    """Delete the bytes of data set versions that were kept as long as their data sets say."""
    close_old_connections()
    services.erase_expired()
