"""What the endpoints of batch scoring take and answer."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlops_site.core.api.serializers import RejectionAnswer, StrictSerializer, TextField
from mlops_site.core.choices import JobState
from monitoring.models import BatchRun
from monitoring.selectors import rejections_shown
from registry.api.serializers import PageFilter


class _Score(StrictSerializer):
    version = TextField(max_length=40, required=False, help_text="one in staging or production; else production's")
    id_column = TextField(
        max_length=128,
        required=False,
        help_text="copied into the result, logged as unit_id, and what columns that the file lacks are read for from "
        "the feature sets of the version",
    )
    log = serializers.BooleanField(default=True, help_text="keep each answer as a prediction that monitoring sees")


class ScoreFile(_Score):
    """A multipart form."""

    file = serializers.FileField(allow_empty_file=True, max_length=255)


class ScoreDataset(_Score):
    dataset = TextField(max_length=80, help_text="name (its newest version) or name@version")


class BatchFilter(PageFilter):
    model = TextField(max_length=63, required=False, allow_blank=True)
    state = serializers.ChoiceField(JobState.choices, required=False, allow_blank=True)


class BatchAnswer(serializers.ModelSerializer[BatchRun]):
    """A scoring run; `rows_total` of a csv is known at its end, `rejections` are the first 100."""

    job_id = serializers.UUIDField(source="pk")
    model = serializers.CharField(source="model.name")
    version = serializers.CharField(source="version.number")
    dataset = serializers.SerializerMethodField()
    attempts = serializers.IntegerField(source="attempt")
    rejections = serializers.SerializerMethodField()
    result_url = serializers.SerializerMethodField(help_text="once it has succeeded")
    requested_by = serializers.CharField(source="requested_by.username")

    class Meta:
        model = BatchRun
        fields = (
            "job_id", "state", "progress", "step", "error", "attempts", "model", "version", "dataset", "source_name",
            "source_digest", "id_column", "logged", "rows_total", "rows_done", "scored", "rejected", "rejections",
            "result_digest", "result_bytes", "result_url", "requested_by", "cancel_requested_at", "created_at",
            "started_at", "finished_at",
        )  # fmt: skip

    def get_dataset(self, run: BatchRun) -> str | None:
        return None if run.dataset is None else str(run.dataset)

    @extend_schema_field(RejectionAnswer(many=True))
    def get_rejections(self, run: BatchRun) -> list[dict[str, Any]]:
        return rejections_shown(run, self.context["actor"])

    def get_result_url(self, run: BatchRun) -> str | None:
        return reverse("monitoring:batch-result", args=[run.pk]) if run.result_digest else None

    def to_representation(self, run: BatchRun) -> dict[str, Any]:
        return dict(super().to_representation(run))
