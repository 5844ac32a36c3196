"""A training run: a leased job that carries everything needed to run it again."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.choices import JobState, Queue
from mlops_site.core.models import Job, User
from registry.models import RegisteredModel, Version
from training.models.dataset import DatasetVersion


class Run(Job):
    executor = "training.pipeline.execute"
    kind = "run"

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="runs")
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    queue = models.CharField(max_length=10, choices=Queue.choices, default=Queue.CPU)
    spec = models.JSONField()  # what was asked, complete with defaults
    seed = models.PositiveBigIntegerField()
    code = models.CharField(max_length=80)  # commit, "+dirty" when the tree differs from it
    lock_digest = models.CharField(max_length=64)
    diff = models.TextField(blank=True)  # how the tree differed from the commit; cut, see services.origin
    diff_digest = models.CharField(max_length=64, blank=True)  # of the whole diff
    packages = models.JSONField(default=dict)  # {name: version} of what the fits go through
    trigger_reason = models.CharField(max_length=200, default="manual")
    trigger = models.JSONField(default=dict)  # plain identifiers of what asked for it: {"alert", "decision"}
    trials_done = models.PositiveIntegerField(default=0)
    trials_total = models.PositiveIntegerField(default=0)
    best = models.JSONField(null=True, blank=True)  # {"model_type", "value"} so far
    leaderboard = models.JSONField(default=list)
    gate = models.JSONField(null=True, blank=True)
    mlflow = models.JSONField(default=dict)  # {"run_id", "url"}, once MLflow has a record of it
    nested = models.JSONField(null=True, blank=True)  # of ml.nested: how good the whole search is
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    class Meta(Job.Meta):
        ordering = ["-created_at"]
        indexes = [*Job.Meta.indexes, models.Index(fields=["model", "-created_at"], name="runs_of_model")]

    @property
    def team_name(self) -> str:
        return self.model.team.name

    def parts(self) -> list[Job]:
        return list(self.shares.filter(state=JobState.QUEUED))

    def tell(self, text: str) -> None:
        """A line of its log."""
        RunLine.objects.create(run=self, attempt=self.attempt, text=text[:500])


class RunLine(models.Model):
    """One line of a run's log, readable while it runs."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="lines")
    at = models.DateTimeField(default=timezone.now)
    attempt = models.PositiveIntegerField()
    text = models.CharField(max_length=500)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text
