"""What the endpoints of monitoring take and answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.serializers import StrictSerializer, TextField
from monitoring.choices import PredictionStatus


class AlertLine(serializers.Serializer[Any]):
    """An alert among the other facts of its model."""

    id = serializers.UUIDField()
    severity = serializers.CharField()
    rule = serializers.CharField()
    summary = serializers.CharField()
    count = serializers.IntegerField()
    first_seen_at = serializers.DateTimeField()


class LoggedPrediction(StrictSerializer):
    """Documents what `services.ingest` reads."""

    model_name = TextField(max_length=63)
    model_version = TextField(max_length=40)
    request_id = TextField(max_length=128, help_text="unique within the model; repeated, it is the same prediction")
    features = serializers.DictField(help_text="names and plain values, up to 1,000")
    prediction = serializers.JSONField(required=False, help_text="a class or a number; left out of a failure")
    score = serializers.FloatField(required=False, min_value=0, max_value=1, help_text="P(positive class)")
    decision = serializers.IntegerField(required=False, min_value=0, max_value=1)
    unit_id = TextField(max_length=128, required=False)
    predicted_at = serializers.DateTimeField(required=False)
    latency_ms = serializers.FloatField(required=False, min_value=0)
    status = serializers.ChoiceField(PredictionStatus.choices, required=False)
    error_code = TextField(max_length=80, required=False)
    slices = serializers.DictField(child=TextField(max_length=128), required=False)


class LoggedAnswer(serializers.Serializer[Any]):
    prediction_id = serializers.UUIDField()
    duplicate = serializers.BooleanField()


class GroundTruthRow(StrictSerializer):
    """Documents what `services.labels` reads: `prediction_id`, or `model_name` and `request_id`."""

    prediction_id = serializers.UUIDField(required=False)
    model_name = TextField(max_length=63, required=False)
    request_id = TextField(max_length=128, required=False)
    human_decision = serializers.JSONField(required=False)
    observed_at = serializers.DateTimeField(required=False)

    def get_fields(self) -> dict[str, Any]:
        # As an attribute it would hide the field's own `label`.
        return {**super().get_fields(), "label": serializers.JSONField(help_text="a class or a number")}


class PredictionsAnswer(serializers.Serializer[Any]):
    """How the `rows` answers are spread that can be counted so: shares of the window, of the holdout at registration
    and of the window before, null where there is none."""

    kind = serializers.ChoiceField(["score", "class", "value"])
    against = serializers.CharField(allow_blank=True, help_text="what is drawn beside the window")
    rows = serializers.IntegerField()
    pieces = serializers.JSONField(help_text="[{piece, reference, before, window}]")
    ticks = serializers.JSONField(help_text="[[place, text]]: of an axis on which piece i lies at i")
