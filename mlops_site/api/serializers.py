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
    features = serializers.DictField(help_text="as GET /models/{name}/schema says")
    request_id = TextField(
        max_length=128, required=False, allow_null=True, help_text="repeated, it gets the first answer"
    )
    unit_id = TextField(max_length=128, required=False, allow_null=True)


class PredictOne(PredictRow):
    version = TextField(max_length=40, required=False, allow_null=True, help_text="one in staging or production")
    dry_run = serializers.BooleanField(required=False, help_text="answer without logging")


class PredictMany(StrictSerializer):
    rows = serializers.ListField(child=PredictRow(), min_length=1, max_length=1_000)
    version = TextField(max_length=40, required=False, allow_null=True)
    dry_run = serializers.BooleanField(required=False)


class PredictionAnswer(serializers.Serializer[Any]):
    prediction_id = serializers.UUIDField(allow_null=True, help_text="null of a dry run")
    request_id = serializers.CharField()
    version = serializers.CharField()
    prediction = serializers.JSONField(help_text="the class or the value")
    score = serializers.FloatField(allow_null=True, help_text="P(positive class); of many, of the class answered")
    probabilities = serializers.DictField(
        child=serializers.FloatField(), allow_null=True, help_text="of each class, where there are more than two"
    )
    decision = serializers.IntegerField(allow_null=True, help_text="1 from the threshold on")
    threshold = serializers.FloatField(allow_null=True)
    duplicate = serializers.BooleanField(help_text="the first answer to this request id, given again")


class PredictAnswer(serializers.Serializer[Any]):
    model = serializers.CharField()
    version = serializers.CharField()
    arm = serializers.CharField()
    predictions = PredictionAnswer(many=True)
