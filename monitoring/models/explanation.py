"""Why a prediction was answered as it was, as it was told first."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models import Job, User
from monitoring.models.prediction import Prediction
from registry.models import Version


class Explanation(models.Model):
    """Kept when it is first asked for, and told the same ever after. It holds no feature's value: those stand in the
    prediction alone, so that erasing them there erases them."""

    prediction = models.OneToOneField(
        Prediction, on_delete=models.CASCADE, primary_key=True, related_name="explanation"
    )
    content = models.JSONField()  # registry.artifacts.explainer.Explanation
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"explanation of {self.prediction_id}"


class ExplanationRun(Job):
    """Explanations of many predictions of one version. What an attempt has explained stays: the next goes on."""

    executor = "monitoring.services.explanations.execute"
    kind = "explanation"

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    prediction_ids = models.JSONField()  # texts
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    class Meta(Job.Meta):
        ordering = ["-created_at"]

    @property
    def team_name(self) -> str:
        return self.version.model.team.name
