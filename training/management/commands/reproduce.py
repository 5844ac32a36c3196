"""manage.py reproduce RUN: do a run again here, and say whether the same comes out."""

from __future__ import annotations

import os
import socket
import time
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlops_site.core import child, face, jobs
from mlops_site.core.errors import StewardError
from training import selectors, services
from training.models import Reproduction

LOOK_SECS = 0.5


class Command(BaseCommand):
    help = (
        "Do a succeeded run again by its own spec, data and seed, in the code and packages of here; nothing is "
        "registered. Ends with 1 unless metrics and predictions are equal. Acts as the person of STEWARD_TOKEN."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=UUID, help="id of the run")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            actor = face.actor()
            made = services.request_reproduction(selectors.run_of(actor, options["run"]), actor=actor)
        except StewardError as refusal:
            raise CommandError(refusal.detail) from refusal
        ended = _followed(made)
        if ended.outcome is None:
            raise CommandError(ended.error or f"the reproduction is {ended.state}")
        for line in selectors.told(ended.outcome):
            self.stdout.write(line)
        if not ended.outcome["equal"]:
            raise CommandError("not the same", returncode=1)


def _followed(made: Reproduction) -> Reproduction:
    """Do it here, or wait for the worker that was quicker; a killed attempt is tried again."""
    while not made.has_ended:
        claimed = jobs.claim(made, worker=f"command {socket.gethostname()}:{os.getpid()}")
        if claimed is not None:
            child.watch(claimed)
        else:
            time.sleep(LOOK_SECS)
        made.refresh_from_db()
    return made
