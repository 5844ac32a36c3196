"""The doorbell and the system jobs of training, and what tells MLflow."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from celery import shared_task
from django.conf import settings
from django.db import close_old_connections

from mlops_site.core.tasks import ring
from training import services
from training.selectors.mirror import is_due

__all__ = ["mirror", "ring", "tell_mlflow"]

log = logging.getLogger(__name__)
LONGEST_SECS = 600


@shared_task(name="training.mirror")
def mirror() -> None:
    """Tell MLflow what it does not know, if anything is due."""
    close_old_connections()
    if is_due():
        tell_mlflow()


def tell_mlflow(*, longest_secs: float = LONGEST_SECS, quiet: bool = False) -> None:
    """In a process of its own, which gives back the memory that MLflow takes, and can be ended when MLflow does not
    answer."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "mirror_mlflow", "--watcher", str(os.getpid())]
    try:
        output = subprocess.DEVNULL if quiet else None
        subprocess.run(command, cwd=settings.BASE_DIR, timeout=longest_secs, check=False, stdout=output, stderr=output)
    except subprocess.TimeoutExpired:
        log.warning("MLflow was not told everything in %s s; the next try goes on", longest_secs)


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
