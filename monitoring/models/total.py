"""What all answers of a version have come to."""

from __future__ import annotations

from django.db import models

from registry.models import Version


class Total(models.Model):
    """Running sums of a version, for counters that only grow and cost one row however much was answered. The folder
    adds to them in the transaction in which it adds to the buckets; what is deleted later stays counted."""

    version = models.OneToOneField(Version, on_delete=models.PROTECT, primary_key=True, related_name="+")
    predictions = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0)
    latency = models.JSONField(default=list)  # answers between the edges of stats.totals.LATENCY_SECS
    latency_us = models.BigIntegerField(default=0)
    label_lag = models.JSONField(default=list)  # first labels between the edges of stats.totals.LAG_SECS
    label_lag_secs = models.FloatField(default=0.0)

    def __str__(self) -> str:
        return f"{self.predictions} answers of {self.version_id}"
