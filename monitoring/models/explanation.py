"""Why a prediction was answered as it was, as it was told first."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from monitoring.models.prediction import Prediction


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
