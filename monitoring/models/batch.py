"""Files of claims scored with one version, piece by piece."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from mlops_site.core.models import Job, User
from registry.models import RegisteredModel, Version
from training.models import DatasetVersion


class BatchRun(Job):
    """A file scored with one version. What a killed attempt has finished, its pieces keep for the next one."""

    executor = "monitoring.pipeline.execute"
    kind = "batch"
    STORED_UNDER: ClassVar = ("source_digest", "result_digest")  # see core.holdings
    STORED_WHILE: ClassVar = {"source_digest": {"dataset__erasure": None}}

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    source_name = models.CharField(max_length=255)  # what the file was called
    source_digest = models.CharField(max_length=64)
    id_column = models.CharField(max_length=128, blank=True)  # copied into the result
    logged = models.BooleanField(default=True)  # whether its answers are predictions that monitoring sees
    chunk_rows = models.PositiveIntegerField()
    rows_total = models.PositiveBigIntegerField(null=True, blank=True)  # a csv's is known at its end
    rows_done = models.PositiveBigIntegerField(default=0)
    rejected = models.PositiveBigIntegerField(default=0)
    rejections = models.JSONField(default=list)  # the first of them: [{"index", "code", "field", "message"}]
    result_digest = models.CharField(max_length=64, blank=True)  # Parquet, once it has succeeded
    result_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta(Job.Meta):
        ordering = ["-created_at"]

    @property
    def team_name(self) -> str:
        return self.model.team.name

    @property
    def scored(self) -> int:
        return self.rows_done - self.rejected


class BatchChunk(models.Model):
    """A piece that is done: its row and whatever was logged of it were written in one transaction."""

    STORED_UNDER: ClassVar = ("digest",)

    run = models.ForeignKey(BatchRun, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()  # 0, 1, ...
    rows = models.PositiveIntegerField()
    rejected = models.PositiveIntegerField()
    rejections = models.JSONField(default=list)
    digest = models.CharField(max_length=64)  # of its part of the result

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="one_chunk_per_number")]

    def __str__(self) -> str:
        return f"{self.run} {self.number}"
