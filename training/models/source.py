"""Where data comes from by itself: a folder, objects of a bucket, a query; and each look at it."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from mlops_site.core.choices import JobState
from mlops_site.core.models import Job, Team, User
from training.choices import SourceKind, Takes
from training.models.dataset import DATASET_NAME, DatasetVersion
from training.models.run import Run


class DataSource(models.Model):
    """What is read becomes the next version of its data set, in the name of its owner."""

    name = models.CharField(max_length=63, unique=True, validators=[RegexValidator(f"^{DATASET_NAME}$")])
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=SourceKind.choices)
    location = models.CharField(max_length=500)  # a folder, s3://bucket/prefix, or the name of a database
    pattern = models.CharField(max_length=100, blank=True)  # of file names: *.csv
    takes = models.CharField(max_length=10, choices=Takes.choices, default=Takes.NEWEST)
    query = models.TextField(blank=True)
    dataset_name = models.CharField(max_length=63)  # which need not be there yet
    target = models.CharField(max_length=128)
    time_column = models.CharField(max_length=128, blank=True)
    group_column = models.CharField(max_length=128, blank=True)
    pii = models.JSONField(default=list)
    run_config = models.JSONField(default=dict)  # fields of RunConfig; empty: no run is started
    every = models.DurationField(null=True, blank=True)  # None: only when somebody asks
    enabled = models.BooleanField(default=True)
    seen = models.JSONField(default=list)  # of the last look that went well: [[name, size, mark], ...]
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=SourceKind.values), name="source_kind_known"),
            models.CheckConstraint(condition=Q(takes__in=Takes.values), name="source_takes_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        return f"source:{self.name}"


class Fetch(Job):
    """One look at a source: read, check, keep as a version, start a run. What is done, a later attempt finds done."""

    executor = "training.pipeline.fetching.execute"
    kind = "fetch"

    source = models.ForeignKey(DataSource, on_delete=models.PROTECT, related_name="fetches")
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    scheduled = models.BooleanField(default=False)
    found = models.JSONField(default=list)  # as `seen`
    version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)  # what came of it, in a sentence

    class Meta(Job.Meta):
        ordering = ["-created_at"]
        indexes = [*Job.Meta.indexes, models.Index(fields=["source", "-created_at"], name="fetches_of_source")]
        constraints = [
            *Job.Meta.constraints,
            models.UniqueConstraint(
                fields=["source"],
                condition=Q(state__in=[JobState.QUEUED, JobState.RUNNING]),
                name="one_open_fetch_per_source",
            ),
        ]

    @property
    def team_name(self) -> str:
        return self.source.team.name
