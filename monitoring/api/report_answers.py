"""What the endpoints of reports take and answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlops_site.core.api.serializers import MomentField, StrictSerializer, TextField
from monitoring.models import Report
from monitoring.services.reports import Window, window_of
from registry.api.serializers import PageFilter


class _Between(StrictSerializer):
    def get_fields(self) -> dict[str, Any]:
        return {"from": MomentField(), "to": MomentField()}  # "from" is no name in Python


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "pattern": "^[0-9]+[mhd]$", "example": "24h"},
            {
                "type": "object",
                "required": ["from", "to"],
                "properties": {
                    "from": {"type": "string", "format": "date-time"},
                    "to": {"type": "string", "format": "date-time"},
                },
            },
        ]
    }
)
class WindowField(serializers.Field[Any, Any, Any, Any]):
    """The last "24h", or {"from", "to"}."""

    def to_internal_value(self, data: Any) -> Window:
        if not isinstance(data, dict):
            return window_of(data)
        asked = _Between(data=data)
        asked.is_valid(raise_exception=True)
        return Window(asked.validated_data["from"], asked.validated_data["to"])

    def to_representation(self, value: Any) -> Any:
        return value


class MonitoringStart(StrictSerializer):
    model_name = TextField(max_length=63)
    model_version = TextField(max_length=40, required=False, help_text="the one in production if left out")
    window = WindowField(help_text="widened to whole hours after two hours, to whole days (UTC) after three days")


class WaitFilter(StrictSerializer):
    wait = serializers.BooleanField(required=False, default=False)


class ReportFilter(PageFilter):
    model = TextField(max_length=63, required=False, allow_blank=True)


class PeriodAnswer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, Any]:
        return {name: serializers.DateTimeField(allow_null=True) for name in ("from", "to")}


class FeatureDriftAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.ChoiceField(["number", "category"])
    test = serializers.CharField()
    statistic = serializers.FloatField(allow_null=True)
    p_value = serializers.FloatField(allow_null=True)
    q_value = serializers.FloatField(allow_null=True)
    effect = serializers.FloatField(allow_null=True)
    psi = serializers.FloatField(allow_null=True)
    drifted = serializers.BooleanField()
    note = serializers.CharField()


class DriftAnswer(serializers.Serializer[Any]):
    overall_score = serializers.FloatField(allow_null=True)
    severity = serializers.ChoiceField(["low", "medium", "high", "unknown"])
    drifted = serializers.IntegerField()
    total = serializers.IntegerField()
    features = FeatureDriftAnswer(many=True)
    note = serializers.CharField()


class MetricAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    value = serializers.FloatField()
    ci95 = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    n = serializers.IntegerField()


class PastAnswer(serializers.Serializer[Any]):
    """What was estimated of the labelled answers of a period, and what was realised; `error` is the difference."""

    to = serializers.DateTimeField()
    labelled = serializers.IntegerField()
    estimated = serializers.FloatField()
    ci95 = serializers.ListField(child=serializers.FloatField())
    realised = serializers.FloatField()
    error = serializers.FloatField()
    covered = serializers.BooleanField(help_text="whether the realised value lay in the band")

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class TrustAnswer(serializers.Serializer[Any]):
    metric = serializers.CharField()
    status = serializers.CharField(help_text="trusted, distrusted or untested")
    reason = serializers.CharField()
    covered = serializers.FloatField(allow_null=True, help_text="share of past periods whose band held")
    mean_error = serializers.FloatField(allow_null=True, help_text="mean absolute error over past periods")


class EstimateVerdictAnswer(TrustAnswer):
    past = PastAnswer(many=True, help_text="oldest first")


class EstimateAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    value = serializers.FloatField()
    ci95 = serializers.ListField(child=serializers.FloatField(), help_text="where the realised value will lie")
    n = serializers.IntegerField(help_text="answers, labelled or not")
    baseline = serializers.FloatField(allow_null=True, help_text="at registration")
    trust = TrustAnswer()


class EstimatedAnswer(serializers.Serializer[Any]):
    """What is expected of the answers before their labels arrive. `verdict` is about all metrics: where it is
    distrusted, no estimate raises a finding."""

    method = serializers.CharField(help_text="CBPE, DLE, or empty where nothing can be estimated, as the note says")
    metrics = EstimateAnswer(many=True)
    verdict = EstimateVerdictAnswer(allow_null=True)
    note = serializers.CharField()


class PerformanceAnswer(serializers.Serializer[Any]):
    realised = MetricAnswer(many=True)
    estimated = EstimatedAnswer(allow_null=True, help_text="null for frames, and in reports of before there were any")
    label_coverage = serializers.FloatField(allow_null=True)
    labelled = serializers.IntegerField()
    baseline = serializers.DictField(child=serializers.FloatField(), help_text="metrics at registration")
    headline = serializers.DictField(allow_null=True, help_text="the metric that the model is judged by")


class QualityAnswer(serializers.Serializer[Any]):
    feature = serializers.CharField()
    check = serializers.ChoiceField(["missing", "range", "type", "unseen"])
    share = serializers.FloatField()
    reference_share = serializers.FloatField()
    rows = serializers.IntegerField()
    drifted = serializers.BooleanField()
    message = serializers.CharField()


class VolumeAnswer(serializers.Serializer[Any]):
    rows = serializers.IntegerField()
    before = serializers.IntegerField()
    change = serializers.FloatField(allow_null=True)
    drop = serializers.BooleanField()
    reason = serializers.CharField()


class ReportAnswer(serializers.ModelSerializer[Report]):
    """What one window looked like; `findings` are what was worth an alert, `raised` whether it became one."""

    model_name = serializers.CharField(source="model.name")
    model_version = serializers.CharField(source="version.number")
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    window = PeriodAnswer(source="body.window")
    covered = PeriodAnswer(source="body.covered", default=None, allow_null=True)
    drift = DriftAnswer(source="body.drift")
    performance = PerformanceAnswer(source="body.performance")
    quality = QualityAnswer(source="body.quality", many=True)
    volume = VolumeAnswer(source="body.volume", allow_null=True)
    notes = serializers.ListField(source="body.notes", child=serializers.CharField())
    findings = serializers.ListField(child=serializers.DictField())

    class Meta:
        model = Report
        fields = (
            "id", "model_name", "model_version", "window", "covered", "samples", "drift", "performance", "quality",
            "volume", "notes", "findings", "explicit", "from_frames", "created_by", "created_at",
        )  # fmt: skip
