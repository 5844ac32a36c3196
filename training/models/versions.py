"""Two versions of a data set beside each other, where that takes longer than a request may."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from mlops_site.core.choices import JobState
from mlops_site.core.models import Job, User
from training.models.dataset import DatasetVersion

WANTED = (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)


class Comparison(Job):
    """What it found is kept for good, for versions never change: there is one for each pair and its keys, but for those
    that failed or were stopped."""

    executor = "training.pipeline.comparison.execute"
    kind = "comparison"

    before = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    after = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    keys = models.JSONField(default=list)  # the columns that tell rows apart, in order of their names
    keys_digest = models.CharField(max_length=64)
    row_change = models.JSONField(null=True, blank=True)  # of ml.differences.RowChange
    column_change = models.JSONField(null=True, blank=True)  # of ml.differences.ColumnChange
    counts_before = models.BinaryField(null=True, blank=True)  # profiles on the same bins
    counts_after = models.BinaryField(null=True, blank=True)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta(Job.Meta):
        ordering = ["-created_at"]
        constraints = [
            *Job.Meta.constraints,
            models.UniqueConstraint(
                fields=["before", "after", "keys_digest"],
                condition=Q(state__in=WANTED),
                name="one_comparison_per_pair_and_keys",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.after} against {self.before}"

    @property
    def team_name(self) -> str:
        return self.after.dataset.team.name
