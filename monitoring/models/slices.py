"""The slices that a model's answers are counted by, how far their figures may lie apart, and codes of failures."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from monitoring.choices import SliceSource
from registry.models import RegisteredModel, Version


class Slice(models.Model):
    """A declared slice. What it counts never changes: other levels are another slice of the same name."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=128)
    source = models.CharField(max_length=10, choices=SliceSource.choices)
    levels = models.JSONField(default=list)  # texts
    cuts = models.JSONField(default=list)  # numbers that rise
    counts_from = models.DateTimeField()  # answers received from then on
    counts_until = models.DateTimeField(null=True, blank=True)
    declared_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    declared_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "name", "source"],
                condition=models.Q(counts_until=None),
                name="one_open_slice_per_name",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} by {self.name}"


class FairnessLimits(models.Model):
    """From which gap between levels a model's slices raise an alert; None leaves a measure out."""

    model = models.OneToOneField(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    limits = models.JSONField(default=dict)  # measure -> gap or null; a measure that is not named has its default
    min_rows = models.PositiveIntegerField(default=50)  # of a level behind a rate; smaller ones are not judged
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "fairness limits"

    def __str__(self) -> str:
        return f"fairness of {self.model}"

    @property
    def subject(self) -> str:
        return f"fairness:{self.model.name}"


class ErrorCode(models.Model):
    """The first codes of failures that a version answered with, each with its place in the counts."""

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+", db_index=False)
    code = models.CharField(max_length=80, blank=True)
    place = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "code"], name="one_place_per_error_code"),
            models.UniqueConstraint(fields=["version", "place"], name="one_error_code_per_place"),
        ]

    def __str__(self) -> str:
        return self.code or "no code"
