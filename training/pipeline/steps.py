"""Where an attempt is: its step, its progress and its log, written only while the lease is ours."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import Error, close_old_connections

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from training.models import Share, Training

log = logging.getLogger(__name__)
LOOK_SECS = 1.0


def say(run: Training | Share, text: str) -> None:
    """A line of the run's log."""
    log.info("%s: %s", run, text)
    run.tell(text)


def pass_to(run: Training, step: str, *, progress: float, **fields: Any) -> None:
    """The step before this one is done. Raises LeaseLost."""
    say(run, step)
    jobs.advance(run, step=step, progress=progress, **fields)


class Fence:
    """Whether the run was taken from this attempt; asks the database at most once a second. `besides` must hold too.

    A database that is away for a moment stops nothing: whatever counts is written under the fence of the row.
    """

    def __init__(self, run: Training | Share, **besides: Any) -> None:
        self.run = run
        self._besides = {**besides, "cancel_requested_at": None}
        self._asked_at = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self._asked_at < LOOK_SECS:
            return False
        self._asked_at = time.monotonic()
        held = type(self.run)._default_manager.filter(pk=self.run.pk, attempt=self.run.attempt, state=JobState.RUNNING)
        try:
            return not held.filter(**self._besides).exists()
        except Error:
            log.warning("%s cannot look whether it is still its own", self.run, exc_info=True)
            close_old_connections()  # the next look opens another
            return False
