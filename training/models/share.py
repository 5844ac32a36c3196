"""A worker's part in the trials of a run that is spread over several: a leased job that any machine may claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from mlops_site.core.choices import Queue
from mlops_site.core.models import Job
from training.models.run import Run

if TYPE_CHECKING:
    from registry.models import RegisteredModel
    from training.models.dataset import DatasetVersion


class Share(Job):
    """To the search it is the run itself: the same data, folds, seeds and studies. It evaluates and registers nothing,
    so the run does without it when nobody takes it up, and it goes on while the run's own attempt is lost."""

    executor = "training.pipeline.share.execute"
    kind = "share"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="shares")
    number = models.PositiveSmallIntegerField()  # 2, 3, ...: the run itself is the first
    queue = models.CharField(max_length=10, choices=Queue.choices, default=Queue.CPU)
    trials_done = models.PositiveIntegerField(default=0)  # its own

    class Meta(Job.Meta):
        ordering = ["number"]
        constraints = [
            *Job.Meta.constraints,
            models.UniqueConstraint(fields=["run", "number"], name="one_share_of_a_run_per_number"),
        ]

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
        """It tells the run's log of its trials (`pipeline.share`); what the rows are like, the run says itself."""
