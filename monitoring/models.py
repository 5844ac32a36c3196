"""Predictions as they were answered."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from monitoring.choices import PredictionStatus
from registry.models import RegisteredModel, Version


class Prediction(models.Model):
    """One answer of one version. (model, request_id) is unique: a repeated request gets the first answer again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    request_id = models.CharField(max_length=128)
    payload_digest = models.CharField(max_length=64)  # of what was asked, to tell a repeat from a conflict
    unit_id = models.CharField(max_length=128, blank=True)
    arm = models.CharField(max_length=20, blank=True)
    features = models.JSONField()
    prediction = models.JSONField()
    score = models.FloatField(null=True)
    decision = models.JSONField(null=True)
    threshold = models.FloatField(null=True)
    status = models.CharField(max_length=10, choices=PredictionStatus.choices, default=PredictionStatus.OK)
    latency_ms = models.FloatField(null=True)
    predicted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "request_id"], name="one_answer_per_request")]
        indexes = [models.Index(fields=["version", "predicted_at"], name="predictions_of_version")]

    def __str__(self) -> str:
        return f"{self.request_id}: {self.prediction}"
