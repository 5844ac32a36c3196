"""How easily a model raises an alarm of drift: the budget that a person sets, and the rules that keep it."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from mlops_site.core.models import Job, User
from registry.models import RegisteredModel, Version


class DriftAlarm(models.Model):
    """The user's knob. Without a budget the standard rule holds."""

    model = models.OneToOneField(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    false_alarms_a_month = models.FloatField(null=True, blank=True)
    smallest_shift_sd = models.FloatField(default=0.2)  # the least shift that is worth an alarm
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"drift alarm of {self.model}"

    @property
    def subject(self) -> str:
        return f"drift_alarm:{self.model.name}"


class CalibrationRun(Job):
    """A budget turned into a rule, by simulation against one version's reference in its traffic."""

    executor = "monitoring.services.calibrations.execute"
    kind = "calibration"

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    false_alarms_a_month = models.FloatField()
    smallest_shift_sd = models.FloatField()
    result: Any = models.JSONField(null=True)  # see services.calibrations.execute
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    class Meta(Job.Meta):
        ordering = ["-created_at"]
        indexes = [
            *Job.Meta.indexes,
            # the report's only question: the newest one of a version
            models.Index(fields=["version", "-created_at"], name="calibrations_of_version"),
        ]

    @property
    def team_name(self) -> str:
        return self.model.team.name
