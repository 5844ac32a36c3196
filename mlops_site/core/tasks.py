"""Doorbells and system jobs."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db import close_old_connections, transaction
from django.utils import timezone

from mlops_site.core import audit, child, inbox, jobs, webhooks
from mlops_site.core.models import IdempotencyKey, Job


@shared_task(name="core.execute_job")
def execute_job(job_id: str) -> None:
    """Claim the job and bring it to its end; a bell rung twice finds nothing to claim."""
    close_old_connections()
    job = jobs.find(job_id)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    claimed = jobs.claim(job, worker=worker, queues=_listened_to()) if job else None
    if claimed and claimed.in_process:
        jobs.run_here(claimed)
    elif claimed:
        for part in claimed.parts():
            ring(part)
        child.watch(claimed)


def _listened_to() -> Collection[str]:
    """The queues that this worker was started with (`--queues`); all of them in any other process."""
    names: Collection[str] = execute_job.app.amqp.queues.consume_from
    return names


def ring(job: Job) -> None:
    """Wake a worker once the job's row is committed. A broker that is down delays the job until the sweep."""
    transaction.on_commit(lambda: execute_job.apply_async([str(job.pk)], queue=job.queue), robust=True)


@shared_task(name="core.sweep_jobs")
def sweep_jobs() -> None:
    """The guarantee behind the doorbell: ring for every row that waits or whose lease ran out."""
    for job in jobs.due():
        # the next sweep rings again
        execute_job.apply_async([str(job.pk)], queue=job.queue, expires=settings.JOB_SWEEP_SECS)


@shared_task(name="core.send_deliveries")
def send_deliveries() -> None:
    """Send what is due; a bell rung twice finds nothing, or the other one's delivery on its way."""
    close_old_connections()
    webhooks.send_due()


@shared_task(name="core.write_checkpoint")
def write_checkpoint() -> None:
    audit.write_checkpoint()


@shared_task(name="core.delete_old_answers")
def delete_old_answers() -> None:
    """Idempotency keys are kept for a day, what was read in inboxes for three months."""
    inbox.forget_old(timezone.now() - timedelta(days=inbox.KEPT_DAYS))
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - timedelta(days=1)).delete()
