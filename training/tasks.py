"""The doorbell of training."""

from __future__ import annotations

from django.db import transaction

from mlops_site.core.tasks import execute_job
from training.models import Run


def ring(run: Run) -> None:
    """Wake a worker once the run's row is committed. A broker that is down delays the run until the sweep."""
    transaction.on_commit(lambda: execute_job.delay(str(run.pk)), robust=True)
