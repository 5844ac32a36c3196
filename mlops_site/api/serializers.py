"""What these endpoints take and answer. Predict's own reader is in `predict`; here it is documented."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from mlops_site.core.api.serializers import StrictSerializer, TextField
from mlops_site.core.choices import JobState
from mlops_site.core.models import AuditRecord, Job


class AnyJobAnswer(serializers.Serializer[Job]):
    """A job of any kind."""

    job_id = serializers.UUIDField(source="pk")
    kind = serializers.CharField()
    state = serializers.ChoiceField(JobState.choices)
    progress = serializers.FloatField(help_text="0 to 1")
    step = serializers.CharField()
    error = serializers.CharField()
    attempts = serializers.IntegerField(source="attempt")
    report_url = serializers.SerializerMethodField(help_text="of a monitoring job that has made its report")
    cancel_requested_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_report_url(self, job: Job) -> str | None:
        report_id = getattr(job, "report_id", None)
        return reverse("monitoring:report", args=[report_id]) if report_id else None


class AuditAnswer(serializers.ModelSerializer[AuditRecord]):
    class Meta:
        model = AuditRecord
        fields = ("seq", "at", "actor", "team", "action", "subject", "data", "previous", "digest")


class AuditFilter(StrictSerializer):
    """The query of GET /audit."""

    action = TextField(max_length=80, required=False)
    actor = TextField(max_length=200, required=False)
    subject = TextField(max_length=200, required=False)
    team = TextField(max_length=63, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    page = serializers.IntegerField(required=False, min_value=1)
    page_size = serializers.IntegerField(required=False, min_value=1, max_value=200)


class PredictRow(StrictSerializer):
    features = serializers.DictField(
        required=False,
        help_text="as GET /models/{name}/schema says; of a unit_id, the version's feature sets give what is left out",
    )
    request_id = TextField(
        max_length=128, required=False, allow_null=True, help_text="repeated, it gets the first answer"
    )
    unit_id = TextField(
        max_length=128, required=False, allow_null=True, help_text="has the same arm at each request; else request_id"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "features" not in attrs and not attrs.get("unit_id"):
            raise serializers.ValidationError({"features": "give features, or a unit_id"}, code="required")
        return attrs


class PredictOne(PredictRow):
    version = TextField(
        max_length=40, required=False, allow_null=True, help_text="one in staging or production, or @alias"
    )
    dry_run = serializers.BooleanField(required=False, help_text="answer without logging")
    reasons = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=50, help_text="so many contributions, the largest first"
    )


class PredictMany(StrictSerializer):
    rows = serializers.ListField(child=PredictRow(), min_length=1, max_length=1_000)
    version = TextField(max_length=40, required=False, allow_null=True)
    dry_run = serializers.BooleanField(required=False)
    reasons = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=50, help_text="for up to 20 rows"
    )


class ReasonAnswer(serializers.Serializer[Any]):
    feature = serializers.CharField()
    value = serializers.JSONField(allow_null=True)
    contribution = serializers.FloatField(help_text="in the output space; below nought it speaks against the answer")


class BackgroundAnswer(serializers.Serializer[Any]):
    digest = serializers.CharField(help_text="sha256 of the training rows compared with")
    rows = serializers.IntegerField()


class ExplainedAnswer(serializers.Serializer[Any]):
    """What the contributions are parts of."""

    method = serializers.CharField(help_text="trees, linear, enumeration (exact) or sampling")
    output_space = serializers.CharField(help_text="probability, log_odds, raw or value")
    explained = serializers.JSONField(allow_null=True, help_text="the class whose output it is")
    base_value = serializers.FloatField(help_text="the mean output of the background")
    residual = serializers.FloatField(help_text="answered output - base value - contributions")
    background = BackgroundAnswer()


class ContributionAnswer(ReasonAnswer):
    standard_error = serializers.FloatField(allow_null=True, help_text="null where nothing was sampled")
    masked = serializers.BooleanField(help_text="the value is personal data and is not shown")


class PredictionExplanationAnswer(ExplainedAnswer):
    prediction_id = serializers.UUIDField()
    output = serializers.FloatField(help_text="what was answered, in the output space")
    contributions = ContributionAnswer(many=True, help_text="the largest first")
    samples = serializers.IntegerField(help_text="pairs of orders that were drawn; 0 of an exact one")


class ImportantFeature(serializers.Serializer[Any]):
    feature = serializers.CharField()
    mean_abs = serializers.FloatField(help_text="mean absolute contribution over the rows")
    ci95 = serializers.ListField(child=serializers.FloatField())
    permutation_share = serializers.FloatField(
        allow_null=True, help_text="share of the holdout loss added by permuting it; null if it was not measured"
    )


class GlobalExplanationAnswer(serializers.Serializer[Any]):
    """What a version looks at in general: computed when it was registered."""

    method = serializers.CharField()
    output_space = serializers.CharField()
    explained = serializers.JSONField(allow_null=True)
    base_value = serializers.FloatField(
        allow_null=True, help_text="null where rows of different classes were explained"
    )
    background = BackgroundAnswer()
    rows = serializers.IntegerField(help_text="of the background, that were explained")
    largest_residual = serializers.FloatField()
    digest = serializers.CharField()
    features = ImportantFeature(many=True, help_text="the most important first")


class ExplanationFilter(StrictSerializer):
    """The query of GET .../explanations."""

    prediction_ids = TextField(max_length=4_000, required=False, help_text="up to 50, with commas between them")


class ExplanationOrder(StrictSerializer):
    """The body of POST .../explanations."""

    prediction_ids = serializers.ListField(child=TextField(max_length=64), min_length=1, max_length=1_000)


class CompletedAnswer(serializers.Serializer[Any]):
    """Where a feature that was left out came from."""

    feature_set = serializers.CharField(help_text="name@version")
    event_at = serializers.DateTimeField()
    ingested_at = serializers.DateTimeField()


class PredictionAnswer(serializers.Serializer[Any]):
    prediction_id = serializers.UUIDField(allow_null=True, help_text="null of a dry run")
    request_id = serializers.CharField()
    version = serializers.CharField(help_text="the one that gave this answer")
    arm = serializers.CharField(help_text="production; in a running experiment a, b or holdout, by the unit")
    prediction = serializers.JSONField(help_text="the class or the value")
    score = serializers.FloatField(allow_null=True, help_text="P(positive class); of many, of the class answered")
    probabilities = serializers.DictField(
        child=serializers.FloatField(), allow_null=True, help_text="of each class, where there are more than two"
    )
    decision = serializers.IntegerField(allow_null=True, help_text="1 from the threshold on")
    threshold = serializers.FloatField(allow_null=True)
    duplicate = serializers.BooleanField(help_text="the first answer to this request id, given again")
    reasons = ReasonAnswer(many=True, required=False, help_text="only where they were asked for")
    explanation = ExplainedAnswer(required=False, help_text="only with reasons")
    completed = serializers.DictField(
        child=CompletedAnswer(), required=False, help_text="by feature, only where something was read"
    )


class DeprecatedAnswer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    note = serializers.CharField()


class PredictAnswer(serializers.Serializer[Any]):
    model = serializers.CharField()
    version = serializers.CharField(help_text="of all answers; where they differ, the one in production")
    arm = serializers.CharField(help_text="of all answers; where they differ, mixed")
    predictions = PredictionAnswer(many=True)
    deprecated = DeprecatedAnswer(required=False, help_text="of a version that was named; headers say it as well")
