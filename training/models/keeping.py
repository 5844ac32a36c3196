"""What is kept of a data set version beside its bytes: how its columns look, and why the bytes are gone."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from training.models.dataset import DatasetVersion


class VersionProfile(models.Model):
    """Each column counted on its own bins when the version was made; it outlives the bytes."""

    version = models.OneToOneField(DatasetVersion, models.PROTECT, primary_key=True, related_name="profile")
    counts = models.BinaryField()  # mlops_site.stats.profile, with its bins
    personal = models.JSONField(default=list)  # training.ml.personal: columns that look like personal data, and why

    def __str__(self) -> str:
        return f"profile of {self.version}"


class Erasure(models.Model):
    """The bytes of a version are gone, or will be once nothing else names them; the row and its lineage stay."""

    version = models.OneToOneField(DatasetVersion, models.PROTECT, primary_key=True, related_name="erasure")
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)  # None: retention
    reason = models.CharField(max_length=200)
    is_done = models.BooleanField(default=False)  # the sweep has seen to the file

    class Meta:
        indexes = [
            # the sweep's only user: files that are still to be deleted
            models.Index(fields=["at"], name="erasures_to_do", condition=models.Q(is_done=False)),
        ]

    def __str__(self) -> str:
        return f"bytes of {self.version} deleted"
