"""What is kept about runs and data sets beside their results: notes and figures, comparisons, downloads, and how far
MLflow is behind."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.parsers import StrictJSONParser
from mlops_site.core.api.serializers import StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.downloads import attachment, streamed
from training import selectors
from training.models import RunNote
from training.selectors.comparison import MOST, runs_compared
from training.selectors.mirror import lag
from training.selectors.notes import figure_of, notes_of
from training.services import add_note, download_dataset
from training.services.notes import TEXT_CHARS


class MirrorAnswer(serializers.Serializer[Any]):
    """How far MLflow is behind with what happened in your teams."""

    waiting = serializers.IntegerField(help_text="runs and changes of versions that it has not been told of")
    oldest_at = serializers.DateTimeField(allow_null=True)
    lag_secs = serializers.FloatField(source="secs", help_text="how long the oldest of them waits")
    error = serializers.CharField(help_text="what the last try said")


class NoteUpload(StrictSerializer):
    """JSON with a text, or a multipart form with a PNG file too; one of them must be there."""

    text = TextField(max_length=TEXT_CHARS, required=False, allow_blank=True)
    figure = serializers.FileField(required=False, max_length=255)


class NoteAnswer(serializers.ModelSerializer[RunNote]):
    id = serializers.IntegerField(source="pk")
    by = serializers.CharField(source="by.username")
    figure = serializers.SerializerMethodField(help_text="name, digest, width, height and url; null without one")

    class Meta:
        model = RunNote
        fields = ("id", "by", "at", "text", "figure")

    def get_figure(self, note: RunNote) -> dict[str, Any] | None:
        if not note.figure:
            return None
        size = {"width": note.width, "height": note.height}
        return {"name": note.name, "digest": note.figure, **size, "url": f"/api/v1/training/figures/{note.pk}"}


class RunCompareFilter(StrictSerializer):
    """The query of GET /training/compare."""

    runs = TextField(max_length=40 * MOST, help_text=f"two to {MOST} job ids, separated by commas")

    def validate_runs(self, value: str) -> list[UUID]:
        found = []
        for part in value.split(","):
            try:
                found.append(UUID(part.strip()))
            except ValueError:
                message = f"must be ids of runs but got {part.strip()[:80]!r}"
                raise serializers.ValidationError(message, code="malformed") from None
        return found


class ComparedRunAnswer(serializers.Serializer[Any]):
    job_id = serializers.CharField()
    model_name = serializers.CharField()
    state = serializers.CharField()
    dataset = serializers.CharField()
    version = serializers.CharField(allow_null=True)
    gate_passed = serializers.BooleanField(allow_null=True)
    requested_by = serializers.CharField()
    started_at = serializers.DateTimeField(allow_null=True)
    secs = serializers.FloatField(allow_null=True)


class ComparedValuesAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.JSONField(allow_null=True), help_text="one for each run")
    differs = serializers.BooleanField()


class RunComparisonAnswer(serializers.Serializer[Any]):
    """Runs side by side, in the order asked for."""

    runs = ComparedRunAnswer(many=True)
    metric = serializers.CharField(allow_null=True)
    same_folds = serializers.BooleanField(help_text="all saw the same rows in the same folds")
    leaderboard = ComparedValuesAnswer(many=True, help_text="by model type {mean, se} over the folds")
    metrics = ComparedValuesAnswer(many=True, help_text="{value, ci95} on each run's own holdout")
    params = ComparedValuesAnswer(many=True)
    spec = ComparedValuesAnswer(many=True)
    made_with = ComparedValuesAnswer(many=True)


class Mirror(ApiView):
    @extend_schema(responses=MirrorAnswer)
    def get(self, request: Request) -> Response:
        """How far MLflow is behind; nothing here waits for it."""
        return Response(MirrorAnswer(lag(self.actor)).data)


class Compare(ApiView):
    @extend_schema(parameters=[RunCompareFilter], responses=RunComparisonAnswer)
    def get(self, request: Request) -> Response:
        """Runs side by side: what was asked, what was found, and what differs."""
        asked = RunCompareFilter(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        return Response(RunComparisonAnswer(runs_compared(self.actor, asked.validated_data["runs"])).data)


class Notes(ApiView):
    parser_classes = (StrictJSONParser, MultiPartParser)
    file_field = "figure"

    @extend_schema(responses=NoteAnswer(many=True))
    def get(self, request: Request, job_id: UUID) -> Response:
        """The notes of a run, oldest first; at most 100."""
        return Response(NoteAnswer(notes_of(selectors.run_of(self.actor, job_id)), many=True).data)

    @extend_schema(request={"multipart/form-data": NoteUpload}, responses={201: NoteAnswer})
    def post(self, request: Request, job_id: UUID) -> Response:
        """Add a text, a PNG figure or both to a run. They stay for good."""
        form = NoteUpload(data=request.data)
        form.is_valid(raise_exception=True)
        file, run = form.validated_data.get("figure"), selectors.run_of(self.actor, job_id)
        text, name = form.validated_data.get("text", ""), "" if file is None else file.name
        note = add_note(run, actor=self.actor, text=text, figure=file, name=name)
        return Response(NoteAnswer(note).data, status=status.HTTP_201_CREATED)


class Figure(ApiView):
    @extend_schema(responses={(200, "image/png"): OpenApiResponse(OpenApiTypes.BINARY)})
    def get(self, request: Request, pk: int) -> HttpResponse:
        """A figure that somebody added to a run."""
        note = figure_of(self.actor, pk)
        return attachment(note.figure, name=note.name, media_type="image/png")


class DatasetFile(ApiView):
    @extend_schema(responses={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY)})
    def get(self, request: Request, name: str, version: int) -> StreamingHttpResponse:
        """The rows of a data set as its Parquet file, whose sha256 is the version's digest. The audit names who."""
        found = selectors.dataset_named(self.actor, f"{name}@{version}")
        return streamed(download_dataset(found, actor=self.actor), name=f"{found}.parquet")
