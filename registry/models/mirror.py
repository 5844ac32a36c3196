"""What MLflow has still to be told, and what it calls what it was told."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.model import RegisteredModel
from registry.models.stage import StageInterval
from registry.models.version import Version


class MirrorChange(models.Model):
    """One change that MLflow does not know of, written in the transaction of the change and deleted once MLflow has
    it. Those of a model are told in the order of their ids."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    interval = models.ForeignKey(  # a stage that began; without one the version was registered
        StageInterval, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(db_default=Now())
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["model", "id"], name="mirror_of_model")]

    def __str__(self) -> str:
        return f"{self.version}: {self.interval.stage if self.interval else 'registered'}"


class MirroredVersion(models.Model):
    """What MLflow calls a version: it counts by itself."""

    version = models.OneToOneField(Version, on_delete=models.PROTECT, related_name="mirrored")
    number = models.PositiveIntegerField()  # MLflow's: 1, 2, ...
    run_id = models.CharField(max_length=64)
    mirrored_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.version} is {self.number} in MLflow"
