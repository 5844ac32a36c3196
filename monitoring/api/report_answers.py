"""What the endpoints of reports take and answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlops_site.core.api.serializers import MomentField, StrictSerializer, TextField
from monitoring.api.serializers import PredictionsAnswer
from monitoring.choices import Occasion
from monitoring.models import Report
from monitoring.services.reports import Window, window_of
from monitoring.stats.limits import PARTS
from monitoring.stats.volume import BEFORE
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
    wasserstein = serializers.FloatField(allow_null=True, default=None, help_text="in SD of the reference; of numbers")
    js = serializers.FloatField(allow_null=True, default=None, help_text="Jensen-Shannon distance to base 2")
    tvd = serializers.FloatField(allow_null=True, default=None, help_text="total variation distance")
    missing = serializers.FloatField(allow_null=True, default=None, help_text="share of the window's rows")
    missing_reference = serializers.FloatField(allow_null=True, default=None)
    unseen = serializers.FloatField(allow_null=True, default=None, help_text="share of levels the reference has not")


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
    """`share` of `rows` values fail the check, `limit` may; of `correlation` they are coefficients."""

    feature = serializers.CharField()
    check = serializers.ChoiceField(list(PARTS))
    share = serializers.FloatField()
    reference_share = serializers.FloatField(allow_null=True)
    rows = serializers.IntegerField()
    drifted = serializers.BooleanField()
    message = serializers.CharField()
    limit = serializers.FloatField(allow_null=True, default=None)


class VolumeAnswer(serializers.Serializer[Any]):
    """Of all versions of the model. `baseline` says what it was judged by; 99 % lie between `lower` and `upper`."""

    rows = serializers.IntegerField()
    before = serializers.IntegerField()
    change = serializers.FloatField(allow_null=True)
    drop = serializers.BooleanField()
    reason = serializers.CharField()
    spike = serializers.BooleanField(default=False)
    baseline = serializers.CharField(default=BEFORE, help_text="hour of week, hour of day, flat or window before")
    history_days = serializers.IntegerField(default=0)
    expected = serializers.FloatField(allow_null=True, default=None)
    lower = serializers.FloatField(allow_null=True, default=None)
    upper = serializers.FloatField(allow_null=True, default=None)
    stretch = serializers.FloatField(allow_null=True, default=None, help_text="hours up to the end that are meant")
    stretch_rows = serializers.IntegerField(allow_null=True, default=None)
    stretch_expected = serializers.FloatField(allow_null=True, default=None)


class ReportAnswer(serializers.ModelSerializer[Report]):
    """What one window looked like; `findings` are what was worth an alert, `raised` whether it became one."""

    model_name = serializers.CharField(source="model.name")
    model_version = serializers.CharField(source="version.number")
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    window = PeriodAnswer(source="body.window")
    covered = PeriodAnswer(source="body.covered", default=None, allow_null=True)
    drift = DriftAnswer(source="body.drift")
    performance = PerformanceAnswer(source="body.performance")
    predictions = PredictionsAnswer(source="body.predictions", default=None, allow_null=True)
    followup = serializers.DictField(
        source="body.followup",
        default=None,
        allow_null=True,
        help_text="{calibration, label_coverage, label_lag, overrides, failures, slices}",
    )
    quality = QualityAnswer(source="body.quality", many=True)
    volume = VolumeAnswer(source="body.volume", allow_null=True)
    rule = serializers.JSONField(
        source="body.rule", default=None, help_text="{q, effect, k, m}: what counted as drift, see the drift alarm"
    )
    triage = serializers.JSONField(
        source="body.triage",
        default=None,
        help_text='features by what their shift can do to the model: [{rank, name, kind: alarm|information|"", '
        "importance, effect, score, loss: {score_change, loss, se, rows} or null, why}]",
    )
    answers = serializers.JSONField(
        source="body.answers", default=None, help_text="{against, rows: drift of score, prediction and label}"
    )
    columns = serializers.JSONField(
        source="body.columns", default=None, help_text="{new, new_total, vanished, sample}: columns that came or went"
    )
    multivariate = serializers.JSONField(
        source="body.multivariate",
        default=None,
        help_text="of reports that somebody asked for: {rows, reference_rows, against, classifier: {auc, ci95, p_value}"
        ", reconstruction: {error, reference_error, components, p_value}, drifted, note}",
    )
    notes = serializers.ListField(source="body.notes", child=serializers.CharField())
    findings = serializers.ListField(child=serializers.DictField())
    occasion = serializers.ChoiceField(["asked", *Occasion.values], source="why")

    class Meta:
        model = Report
        fields = (
            "id", "model_name", "model_version", "window", "covered", "samples", "drift", "performance", "predictions",
            "followup", "quality", "volume", "rule", "triage", "answers", "columns", "multivariate",
            "notes", "findings", "explicit", "occasion", "from_frames", "created_by", "created_at",
        )  # fmt: skip
