"""Celery Beat, of which any number may run: one of them leads, the others wait to take over (ADR 11)."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from typing import Any

from django.conf import settings
from django.db import Error, close_old_connections
from django.db.models import F, Q
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from mlops_site.core import leases

LEASE = "beat"
logger = logging.getLogger(__name__)


class LeaderScheduler(DatabaseScheduler):
    """Fires entries only while it holds the lease, and each only after it has moved the row's `last_run_at` on.

    The lease keeps two Beats from working at the same time; the conditional UPDATE is the fence behind it: a leader
    that was stopped in the middle of a tick and wakes up after another took over fires nothing twice. Because the row
    is written before the message is sent, a leader that is killed leaves no tick for the next one to fire again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._held_at: float | None = None  # by this process's steady clock; None: somebody else leads
        self._stale = False
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until the next call, at most a third of the lease."""
        wait = min(float(self.max_interval), settings.BEAT_LEASE_SECS / 3)
        try:
            if not self._leads():
                return wait
            if self._stale:
                self._read_again()
            return min(float(super().tick(*args, **kwargs)), wait)
        except Error as error:
            logger.warning("the schedule cannot be read or written, another try follows: %s", error)
            self._held_at, self._stale = None, True
            return wait

    def _leads(self) -> bool:
        """Whether this process holds the lease; asked of the database three times in its length."""
        now = time.monotonic()
        if self._held_at is not None and now - self._held_at < settings.BEAT_LEASE_SECS / 3:
            return True
        close_old_connections()
        if not leases.hold(LEASE, holder=self._holder, secs=settings.BEAT_LEASE_SECS):
            self._held_at = None
            return False
        if self._held_at is None:
            logger.info("%s leads", self._holder)
            self._stale = True
        self._held_at = now
        return True

    def _read_again(self) -> None:
        """What another leader fired is in the rows only."""
        self._schedule = self.all_as_schedule()
        self._heap, self._stale = None, False

    def reserve(self, entry: ModelEntry) -> ModelEntry:
        """The entry as it stands after firing. Nothing is left for `sync` to write: see `apply_entry`."""
        return next(entry)

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Send the message if the row still says what this process knows of the entry's last run."""
        as_known = Q(last_run_at=None) | Q(last_run_at=entry.last_run_at)
        fired_at = entry.model.last_run_at  # `reserve` has set it
        rows = PeriodicTask.objects.filter(as_known, pk=entry.model.pk, enabled=True)
        if rows.update(last_run_at=fired_at, total_run_count=F("total_run_count") + 1):
            super().apply_entry(entry, producer=producer)
        else:
            self._stale = True

    def close(self) -> None:
        super().close()
        if self._held_at is not None:
            leases.let_go(LEASE, holder=self._holder)
