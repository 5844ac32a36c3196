"""A run done again to see whether the same comes out: a leased job that registers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from mlops_site.core.choices import Queue
from mlops_site.core.models import Job, User
from training.models.run import Run

if TYPE_CHECKING:
    from registry.models import RegisteredModel
    from training.models.dataset import DatasetVersion


class Reproduction(Job):
    """To the steps that train, it is the run itself under another id: its studies and its rows are its own."""

    executor = "training.pipeline.reproduce.execute"
    kind = "reproduction"

    queue = models.CharField(max_length=10, choices=Queue.choices, default=Queue.CPU)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="reproductions")
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    trials_done = models.PositiveIntegerField(default=0)
    best = models.JSONField(null=True, blank=True)
    leaderboard = models.JSONField(default=list)
    outcome = models.JSONField(null=True, blank=True)  # of ml.repeats.compared, with what differed around the fits

    class Meta(Job.Meta):
        ordering = ["-created_at"]
        indexes = [*Job.Meta.indexes, models.Index(fields=["run", "-created_at"], name="reproductions_of_run")]

    @property
    def team_name(self) -> str:
        return self.run.team_name

    @property
    def model(self) -> RegisteredModel:
        return self.run.model

    @property
    def dataset(self) -> DatasetVersion:
        return self.run.dataset

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.run.spec
        return found

    @property
    def seed(self) -> int:
        return int(self.run.seed)

    @property
    def trials_total(self) -> int:
        return int(self.run.trials_total)

    def tell(self, text: str) -> None:
        """It keeps no log: what came of it is its outcome."""


Training = Run | Reproduction
"""Whatever trains by a run's spec."""
