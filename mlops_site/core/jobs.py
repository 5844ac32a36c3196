"""The leased row as a queue: claim, heartbeat, fenced progress, end, cancel, sweep. Celery only rings the bell."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, IntegerField, Q, Value, When
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils.module_loading import import_string

from mlops_site.core import events
from mlops_site.core.choices import JobState, Queue
from mlops_site.core.errors import Conflict, StewardError, Unavailable
from mlops_site.core.models import Job
from mlops_site.core.permissions import Actor

log = logging.getLogger(__name__)
MAX_STALLED = 3  # consecutive attempts without progress
SWEPT = 100  # rows of one kind and queue that one sweep rings for
J = TypeVar("J", bound=Job)


class LeaseLost(Exception):
    """Another attempt owns the row, or it was cancelled: stop at once and write nothing."""


def kinds() -> list[type[Job]]:
    """Every concrete kind of job."""
    return [model for model in apps.get_models() if issubclass(model, Job)]


def find(job_id: UUID | str) -> Job | None:
    """The job of any kind with this id; text that is no id is no job's."""
    try:
        job_id = UUID(str(job_id))
    except ValueError:
        return None
    return next((job for kind in kinds() if (job := kind._default_manager.filter(pk=job_id).first())), None)


def _claimable() -> Q:
    """Waiting, or running under a lease that has run out. Times are the database's: machines' clocks differ."""
    return Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, lease_until__lt=Now())


def _lease() -> Any:
    return Now() + timedelta(seconds=settings.JOB_LEASE_SECS)


def claim(job: J, *, worker: str, queues: Collection[str] | None = None) -> J | None:
    """Take the job, or None when somebody else has it, it has ended, or it must be given up. `queues` are those that
    the worker listens to (all, if left out): a bell that was rung in the wrong one takes no job of another."""
    if queues is not None and job.queue not in queues:
        return None
    rows = type(job)._default_manager.filter(_claimable(), pk=job.pk)
    if _end_unclaimable(rows, job):
        return None
    with transaction.atomic():  # the row stays locked until its attempt is read, so that the number read is ours
        taken = rows.filter(stalled__lt=MAX_STALLED, cancel_requested_at=None).update(
            state=JobState.RUNNING,
            attempt=F("attempt") + 1,
            stalled=F("stalled") + 1,
            worker=worker[:200],
            lease_until=_lease(),
            started_at=Coalesce("started_at", Now()),
        )
        if taken:
            job.refresh_from_db()
    return job if taken else None


def _end_unclaimable(rows: Any, job: Job) -> bool:
    """A cancelled job, or one with too many attempts without progress, ends here rather than run again."""
    if rows.filter(cancel_requested_at__isnull=False).exists():
        return _end(rows.filter(cancel_requested_at__isnull=False), job, JobState.CANCELLED, "cancelled")
    spent = rows.filter(stalled__gte=MAX_STALLED)
    if last := spent.first():
        how = last.error or "its worker was lost"
        reason = f"stopped after {MAX_STALLED} attempts without progress; the last one: {how}"
        return _end(spent, job, JobState.FAILED, reason)
    return False


def beat(job: Job) -> bool:
    """Extend the lease. False: the lease is lost or the job has ended; kill the child."""
    return bool(_mine(job).update(lease_until=_lease()))


def advance(job: Job, *, step: str | None = None, progress: float | None = None, **fields: Any) -> None:
    """Write what this attempt does now. Raises LeaseLost when it is no longer ours.

    `progress` (0..1) only grows, over all attempts; growing is what counts as progress and clears `stalled`. So an
    attempt that repeats the steps of the one before and dies at the same place is not mistaken for one that moves.
    """
    changes: dict[str, Any] = dict(fields)
    if step is not None:
        changes["step"] = step[:200]
    if progress is not None:
        reached = min(max(progress, 0.0), 1.0)
        grew = When(progress__lt=reached, then=0)
        changes["stalled"] = Case(grew, default="stalled", output_field=IntegerField())
        changes["progress"] = Greatest("progress", Value(reached))
    if not _mine(job).update(**changes or {"attempt": job.attempt}):
        raise LeaseLost(f"attempt {job.attempt} of {job} is no longer current")
    job.refresh_from_db(fields=list(changes))


@contextmanager
def fenced(job: J) -> Iterator[J]:
    """A transaction in which the row is locked and still this attempt's: what is written inside is written once."""
    with events.atomic():
        row = (
            type(job)
            ._default_manager.select_for_update()
            .filter(pk=job.pk, attempt=job.attempt, state=JobState.RUNNING, cancel_requested_at=None)
            .first()
        )
        if row is None:
            raise LeaseLost(f"attempt {job.attempt} of {job} is no longer current")
        yield row


def finish(job: Job, state: str, *, error: str = "", **fields: Any) -> bool:
    """End this attempt's job. False when it was not ours to end."""
    return _end(_mine(job), job, state, error, **fields)


def release(job: Job, *, error: str) -> None:
    """This attempt's process is gone: back to the queue, with the reason, for the next claim."""
    _mine(job).update(state=JobState.QUEUED, lease_until=None, error=error)


def run_here(job: Job) -> None:
    """Do a claimed light job in this process, to its end. A refusal ends it; an outage, any other error, and no end at
    all, puts it back for the next claim, as a child that died would be."""
    error = f"attempt {job.attempt} ended without a result"
    try:
        import_string(job.executor)(job)
    except LeaseLost:
        _end(_mine(job).filter(cancel_requested_at__isnull=False), job, JobState.CANCELLED, "cancelled")
        return
    except Unavailable as outage:
        error = outage.detail
    except StewardError as refusal:
        finish(job, JobState.FAILED, error=refusal.detail)
        return
    except Exception as failure:
        log.exception("%s failed", job)
        error = f"{type(failure).__name__}: {failure}"[:2000]
    release(job, error=error)


def cancel(job: Job, *, actor: Actor, team: str) -> Job:
    """Ask the job to stop; one that waits ends at once, one that runs when its watcher sees it. Idempotent."""
    rows = type(job)._default_manager.filter(pk=job.pk)
    with events.atomic():
        asked = rows.filter(state__in=[JobState.QUEUED, JobState.RUNNING], cancel_requested_at=None).update(
            cancel_requested_at=Now()
        )
        job.refresh_from_db()
        if not asked and job.state in (JobState.SUCCEEDED, JobState.FAILED):
            raise Conflict(f"{job} cannot be cancelled because it has {job.state}", code="already_ended")
        if asked:
            events.record(f"{job.kind}.cancel_requested", actor=actor, subject=job.subject, team=team)
            _end(rows.filter(state=JobState.QUEUED), job, JobState.CANCELLED, "cancelled")
    job.refresh_from_db()
    return job


def due() -> list[Job]:
    """Rows that somebody should claim or end now: the sweep rings the bell for each."""
    return [job for kind in kinds() for rows in _by_queue(kind) for job in rows.order_by("created_at")[:SWEPT]]


def _by_queue(kind: type[Job]) -> list[Any]:
    """Claimable rows, apart by queue: many that wait for a worker of one must not hide those of another."""
    rows: Any = kind._default_manager.filter(_claimable())
    has_column = any(field.name == "queue" for field in kind._meta.concrete_fields)
    return [rows.filter(queue=queue) for queue in Queue.values] if has_column else [rows]


def _mine(job: Job) -> Any:
    return type(job)._default_manager.filter(pk=job.pk, attempt=job.attempt, state=JobState.RUNNING)


def _end(rows: Any, job: Job, state: str, error: str, **fields: Any) -> bool:
    with events.atomic():
        ended = rows.update(state=state, error=error, finished_at=Now(), lease_until=None, **fields)
        if ended:
            data = {"error": error[:500], "attempt": job.attempt}
            events.record(
                f"{job.kind}.{state}", actor=Actor.system("jobs"), subject=job.subject, team=job.team_name, data=data
            )
    return bool(ended)
