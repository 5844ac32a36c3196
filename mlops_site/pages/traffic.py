"""What was asked of models lately."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.db.models import Avg, Count, Q
from django.utils import timezone

from monitoring.choices import PredictionStatus
from monitoring.models import Prediction
from registry.models import RegisteredModel, Version


class Traffic(NamedTuple):
    """Predictions of the last 24 hours: how many, how many of them failed, the mean response time."""

    predictions: int
    errors: int
    mean_ms: float | None


def last_day(*models: RegisteredModel) -> Traffic:
    """Of these models together; one query, by the index of predictions by version and time."""
    versions = Version.objects.filter(model__in=models)
    rows = Prediction.objects.filter(version__in=versions, predicted_at__gte=timezone.now() - timedelta(days=1))
    said = rows.aggregate(n=Count("pk"), bad=Count("pk", filter=Q(status=PredictionStatus.ERROR)), ms=Avg("latency_ms"))
    return Traffic(said["n"], said["bad"], said["ms"])
