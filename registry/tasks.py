"""Doorbells and system jobs of the registry."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from celery import shared_task
from django.conf import settings
from django.db import close_old_connections

from registry import services
from registry.selectors.mirror import is_due

log = logging.getLogger(__name__)
LONGEST_SECS = 600


@shared_task(name="registry.sweep_approvals")
def sweep_approvals() -> None:
    """Expiry, reminders and dates of revalidation."""
    close_old_connections()
    services.sweep_approvals()


@shared_task(name="registry.mirror")
def mirror() -> None:
    """Tell MLflow what it does not know, if anything is due: in a process of its own, which gives back the memory that
    MLflow takes, and can be ended when MLflow does not answer."""
    close_old_connections()
    if is_due():
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "mirror_mlflow", "--watcher", str(os.getpid())]
        try:
            subprocess.run(command, cwd=settings.BASE_DIR, timeout=LONGEST_SECS, check=False)
        except subprocess.TimeoutExpired:
            log.warning("MLflow was not told everything in %s s; the next try goes on", LONGEST_SECS)
