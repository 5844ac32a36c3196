"""Reports on windows of production, and the jobs that make them."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from mlops_site.core.models import Job, User
from monitoring.choices import Occasion
from registry.models import RegisteredModel, Version


class Report(models.Model):
    """What one window looked like: append-only. `body` has the fields of GET /monitoring/reports/{id}."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    window_from = models.DateTimeField()
    window_to = models.DateTimeField()
    explicit = models.BooleanField(default=False)  # a person asked: alarms need no persistence
    occasion = models.CharField(max_length=10, choices=Occasion.choices, default=Occasion.SCHEDULE)
    from_frames = models.BooleanField(default=False)  # of data that came with the question, not of logged rows
    samples = models.PositiveBigIntegerField()
    overall_score = models.FloatField(null=True)
    severity = models.CharField(max_length=10)  # band of the overall score: low, medium, high, unknown
    body = models.JSONField()
    findings = models.JSONField(default=list)  # [{"rule", "subject", "summary", "evidence"}]: what may become an alert
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["model", "-created_at"], name="reports_of_model")]

    def __str__(self) -> str:
        return f"{self.version} {self.window_from:%Y-%m-%d %H:%M} to {self.window_to:%Y-%m-%d %H:%M}"

    @property
    def why(self) -> str:
        """asked, schedule, in_time or backfill."""
        return "asked" if self.explicit else self.occasion

    @property
    def why_in_words(self) -> str:
        return "asked for" if self.explicit else self.get_occasion_display()


class MonitoringRun(Job):
    """A report asked for, or with `every` one on each past window of `length` that ends so far apart. It reads sums
    only, so it is done where it was claimed, without a child process."""

    executor = "monitoring.analysis.execute"
    kind = "monitoring"
    in_process = True

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    window_from = models.DateTimeField()
    window_to = models.DateTimeField()
    explicit = models.BooleanField(default=True)
    occasion = models.CharField(max_length=10, choices=Occasion.choices, default=Occasion.SCHEDULE)
    every = models.DurationField(null=True, blank=True)
    length = models.DurationField(null=True, blank=True)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    report = models.OneToOneField(Report, on_delete=models.PROTECT, related_name="run", null=True, blank=True)

    class Meta(Job.Meta):
        ordering = ["-created_at"]

    @property
    def team_name(self) -> str:
        return self.model.team.name
