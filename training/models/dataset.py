"""Data sets and their immutable, content-addressed versions."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from mlops_site.core.models import Team, User

DATASET_NAME = r"[a-z][a-z0-9_]{1,62}"


class Dataset(models.Model):
    name = models.CharField(max_length=63, unique=True, validators=[RegexValidator(f"^{DATASET_NAME}$")])
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)  # who answers
    retention_days = models.PositiveIntegerField(null=True, blank=True)  # then a version's bytes go; None: never
    hold = models.CharField(max_length=200, blank=True)  # why no bytes of it may go, whatever else is said

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        return f"dataset:{self.name}"


class DatasetVersion(models.Model):
    """The same bytes declared the same way are the same version."""

    STORED_UNDER: ClassVar = ("digest",)  # see core.holdings
    STORED_WHILE: ClassVar = {"digest": {"erasure": None}}

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()  # 1, 2, ... named hie@2
    digest = models.CharField(max_length=64)  # of the canonical Parquet in the store
    source_digest = models.CharField(max_length=64)  # of the uploaded bytes and the declaration
    rows = models.PositiveBigIntegerField()
    target = models.CharField(max_length=128)
    time_column = models.CharField(max_length=128, blank=True)
    group_column = models.CharField(max_length=128, blank=True)
    pii = models.JSONField(default=list)  # names of columns with personal data
    schema = models.JSONField()
    quality = models.JSONField()
    lineage = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "version"], name="one_dataset_version_per_number"),
            models.UniqueConstraint(fields=["dataset", "source_digest"], name="one_dataset_version_per_source"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset.name}@{self.version}"
