"""The leased row: a row in state `queued` is the queue."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from mlops_site.core.choices import ENDED, JobState, Queue


def _memory_limit_mb() -> int:
    return int(settings.JOB_MEMORY_LIMIT_MB)


def _time_limit_secs() -> int:
    return int(settings.JOB_TIME_LIMIT_SECS)


class Job(models.Model):
    """Work that a worker claims by conditional UPDATE and a child process does. `attempt` is the fencing token:
    a write of an attempt that is no longer current changes nothing. `stalled` counts consecutive attempts
    without progress."""

    executor: ClassVar[str]  # dotted path of `execute(job)`, run in the child process
    kind: ClassVar[str]  # "run"; part of audit subjects
    in_process: ClassVar[bool] = False  # light work: done by whoever claims it, without a child
    queue: str = Queue.DEFAULT  # a kind with rows of several queues has a column of this name instead

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    stalled = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    progress = models.FloatField(default=0.0)
    step = models.CharField(max_length=200, blank=True)
    error = models.TextField(blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    memory_limit_mb = models.PositiveIntegerField(default=_memory_limit_mb)
    time_limit_secs = models.PositiveIntegerField(default=_time_limit_secs)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=JobState.values), name="%(app_label)s_%(class)s_state"),
        ]
        indexes = [
            # the sweep's only user: rows that wait or whose lease may have run out
            models.Index(
                fields=["created_at"],
                name="%(app_label)s_%(class)s_due",
                condition=models.Q(state__in=[JobState.QUEUED, JobState.RUNNING]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def subject(self) -> str:
        return f"{self.kind}:{self.id}"

    def parts(self) -> list[Job]:
        """Jobs that share its work and wait: the bell rings for them once it is claimed."""
        return []

    @property
    def team_name(self) -> str:
        """The team it belongs to, for the audit chain."""
        return ""
