"""manage.py execute_run ID --attempt N: does one attempt of a job, in the process that the worker watches."""

import logging
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, InterfaceError, OperationalError, close_old_connections
from django.utils.module_loading import import_string

from mlops_site.core import child, jobs
from mlops_site.core.choices import JobState
from mlops_site.core.errors import StewardError, StorageFull, Unavailable
from mlops_site.core.models import Job

log = logging.getLogger(__name__)
MAX_WAIT_SECS = 60


def _release(job: Job, error: str) -> None:
    """Back to the queue, once the database answers again; if it does not, the lease runs out."""
    for _ in range(MAX_WAIT_SECS):
        close_old_connections()
        try:
            jobs.release(job, error=error)
        except Error:
            time.sleep(1)
        else:
            return


class Command(BaseCommand):
    requires_system_checks = []  # the worker that starts it has passed them
    help = "Do one attempt of a claimed job. The worker calls this; by hand it does nothing unless the lease is held."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id")
        parser.add_argument("--attempt", type=int, required=True)
        parser.add_argument("--watcher", type=int, help="pid of the worker; the attempt ends when that does")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watcher"]:
            child.die_with(options["watcher"])
        job = jobs.find(options["id"])
        if job is None:
            raise CommandError(f"no job {options['id']}")
        if job.state != JobState.RUNNING or job.attempt != options["attempt"]:
            sys.exit(child.LOST)
        try:
            import_string(job.executor)(job)
        except jobs.LeaseLost:
            sys.exit(child.LOST)
        except Unavailable as error:
            # Three attempts are all that a job without progress has: they should outlast a restart of what is down.
            time.sleep(min(error.retry_after_secs or 1, MAX_WAIT_SECS))
            jobs.release(job, error=error.detail)
        except (OperationalError, InterfaceError) as error:
            _release(job, f"the database was away: {str(error).strip()}"[:2000])
        except StewardError as error:
            jobs.finish(job, JobState.FAILED, error=error.detail)
        except Exception as error:
            log.exception("%s failed", job)
            full = StorageFull.of(error)
            reason = full.detail if full else f"{type(error).__name__}: {error}"
            jobs.finish(job, JobState.FAILED, error=reason[:2000])
