"""When a model is looked at, and how much of its traffic nobody has looked at yet."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from monitoring.choices import DAY
from registry.models import RegisteredModel, Version


class MonitoringSchedule(models.Model):
    """A model's own schedule, which overrides the one of every model. One that is not stored stands for that."""

    model = models.OneToOneField(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    enabled = models.BooleanField(default=True)
    every = models.DurationField(default=timedelta(hours=1))
    window = models.DurationField(default=DAY)  # each report is on the last so long
    check_after = models.PositiveIntegerField(null=True, blank=True)  # new rows; 0: only on time; None: the setting
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"monitoring of {self.model}"

    @property
    def subject(self) -> str:
        return f"monitoring_schedule:{self.model.name}"

    @property
    def is_own(self) -> bool:
        return self.pk is not None


class Unchecked(models.Model):
    """Answers and labels of a version that were folded since its last report was asked for, by the folder in its own
    transaction, and how many answers that report had."""

    version = models.OneToOneField(Version, on_delete=models.PROTECT, primary_key=True, related_name="+")
    rows = models.PositiveBigIntegerField(default=0)
    samples = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.rows} of {self.version_id}"
