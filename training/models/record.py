"""What MLflow has still to be told of runs, and what people add to a run: notes and figures."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from mlops_site.core.models import User
from training.models.run import Run


class UnrecordedRun(models.Model):
    """A run that MLflow has no record of yet: written with the run, deleted once MLflow has it. It is due when the
    run has ended."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="unrecorded")
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(db_default=Now())
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.run} is not in MLflow"


class RunNote(models.Model):
    """What a person says of a run, for good: text, a figure (PNG in the store), or both."""

    STORED_UNDER: ClassVar = ("figure",)  # see core.holdings

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="notes")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    text = models.CharField(max_length=4000, blank=True)
    figure = models.CharField(max_length=64, blank=True)  # digest of the PNG
    name = models.CharField(max_length=120, blank=True)  # of the file that was attached
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(text="", figure=""), name="a_note_says_or_shows_something"),
        ]

    def __str__(self) -> str:
        return f"note {self.pk} of {self.run}"
