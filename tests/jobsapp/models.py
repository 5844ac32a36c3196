"""A job whose child does what its `orders` say, one after the other."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from mlops_site.core.choices import Queue
from mlops_site.core.models import Job


class Errand(Job):
    executor = "tests.jobsapp.errands.execute"
    kind = "errand"

    queue = models.CharField(max_length=10, default=Queue.DEFAULT)
    orders = models.JSONField(default=list)  # ["reach 0.5", "spawn PATH", "eat", "hang", ...]: see errands
    note = models.CharField(max_length=200, blank=True)

    objects: ClassVar[models.Manager[Errand]] = models.Manager()

    @property
    def team_name(self) -> str:
        return "claims"


class Chore(Job):
    """The same in the worker's own process."""

    executor = "tests.jobsapp.errands.execute"
    kind = "chore"
    in_process = True

    orders = models.JSONField(default=list)
    note = models.CharField(max_length=200, blank=True)

    objects: ClassVar[models.Manager[Chore]] = models.Manager()

    @property
    def team_name(self) -> str:
        return "claims"
