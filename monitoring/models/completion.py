"""Which features of a prediction came from feature sets."""

from __future__ import annotations

from django.db import models

from monitoring.models.prediction import Prediction


class Completion(models.Model):
    """What was read for a prediction that was asked for with features missing. The values themselves stand in the
    prediction alone, so that erasing them there erases them. Predictions that needed none pay for no column."""

    prediction = models.OneToOneField(Prediction, on_delete=models.CASCADE, primary_key=True, related_name="completion")
    as_of = models.DateTimeField()  # what was known at this time was read
    features = models.JSONField()  # name -> {"feature_set", "event_at", "ingested_at"}

    def __str__(self) -> str:
        return f"completion of {self.prediction_id}"
