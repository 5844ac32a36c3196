"""Predictions as they were answered, and what turned out to be true."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from monitoring.choices import PredictionStatus, Source
from registry.models import RegisteredModel, Version

SAID_AT = 64


class Prediction(models.Model):
    """One answer of one version. (model, request_id) is unique: a repeated request gets the first answer again.
    A trigger queues each for folding (see laws.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Both are found by the first column of an index below; two more would cost each insert.
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+", db_index=False)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+", db_index=False)
    request_id = models.CharField(max_length=128)
    payload_digest = models.CharField(max_length=64)  # of what was asked, to tell a repeat from a conflict
    unit_id = models.CharField(max_length=128, blank=True)
    arm = models.CharField(max_length=20, blank=True)
    epoch = models.BigIntegerField(null=True)  # of the experiment under whose split it was answered, see abtesting
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.SERVED)
    features = models.JSONField()
    slices = models.JSONField(default=dict)  # name -> text, to look at parts of the traffic
    prediction = models.JSONField(null=True)  # null when the model failed
    score = models.FloatField(null=True)
    probabilities = models.JSONField(null=True)  # class -> probability, of more than two classes
    decision = models.JSONField(null=True)
    threshold = models.FloatField(null=True)
    status = models.CharField(max_length=10, choices=PredictionStatus.choices, default=PredictionStatus.OK)
    error_code = models.CharField(max_length=80, blank=True)
    latency_ms = models.FloatField(null=True)
    predicted_at = models.DateTimeField(default=timezone.now)
    # What was said of the time where that cannot be right; `predicted_at` is then when the row arrived.
    said_at = models.CharField(max_length=SAID_AT, blank=True, default="", db_default="")
    received_at = models.DateTimeField(default=timezone.now)
    erased_at = models.DateTimeField(null=True)  # since then `features` is empty, whatever they were

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "request_id"], name="one_answer_per_request")]
        indexes = [
            models.Index(fields=["version", "predicted_at"], name="predictions_of_version"),
            # for the page that looks a claim up; rows without a unit do not pay for it
            models.Index(fields=["unit_id"], name="predictions_of_unit", condition=~models.Q(unit_id="")),
            # for the dashboard, which counts them
            models.Index(
                fields=["version", "predicted_at"], name="predictions_misdated", condition=~models.Q(said_at="")
            ),
            # for retention, which erases the oldest first
            models.Index(
                fields=["model", "received_at"],
                name="predictions_with_features",
                condition=models.Q(erased_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request_id}: {self.prediction}"


class Label(models.Model):
    """What was true for a request, as known at one time. It may come before its prediction; a correction is the next
    revision, and nothing is overwritten."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+", db_index=False)
    request_id = models.CharField(max_length=128)
    revision = models.PositiveIntegerField()  # 1, 2, ...; the highest holds
    label = models.JSONField()
    human_decision = models.JSONField(null=True)
    observed_at = models.DateTimeField(default=timezone.now)
    received_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "request_id", "revision"], name="one_label_per_revision")
        ]
        indexes = [models.Index(fields=["model", "received_at"], name="labels_by_age")]  # for retention

    def __str__(self) -> str:
        return f"{self.request_id}: {self.label}"
