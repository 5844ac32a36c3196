"""The endpoints of batch scoring: validate, call one service or selector, serialise."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from uuid import UUID

from django.http import FileResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.parsers import StrictJSONParser
from mlops_site.core.api.serializers import JobAnswer
from mlops_site.core.api.views import ApiView
from mlops_site.core.permissions import Actor
from mlops_site.core.tasks import ring
from monitoring.api import batch_answers
from monitoring.models import BatchRun
from monitoring.selectors import batch_of, batches
from monitoring.services import cancel_scoring, opened_result, request_scoring

PARQUET = "application/vnd.apache.parquet"


class Score(ApiView):
    parser_classes = (MultiPartParser, StrictJSONParser)
    file_field = "file"

    @extend_schema(
        request={"multipart/form-data": batch_answers.ScoreFile, "application/json": batch_answers.ScoreDataset},
        responses={202: JobAnswer},
    )
    def post(self, request: Request, name: str) -> Response:
        """Queue the scoring of a csv or parquet file, or of a data set."""
        is_form = (request.content_type or "").startswith("multipart/")
        asked = (batch_answers.ScoreFile if is_form else batch_answers.ScoreDataset)(data=request.data)
        asked.is_valid(raise_exception=True)
        said = dict(asked.validated_data)
        file = said.get("file")
        return accepted(request_scoring(actor=self.actor, model_name=name, filename=file.name if file else "", **said))


class Batches(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[batch_answers.BatchFilter], responses=batch_answers.BatchAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Scoring runs, newest first."""
        asked = batch_answers.BatchFilter(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        model, state = (asked.validated_data.get(name, "") for name in ("model", "state"))
        pages = self.pagination_class()
        page: Any = pages.paginate_queryset(batches(self.actor, model=model, state=state), request, view=self)
        answer = batch_answers.BatchAnswer(page, many=True, context={"actor": self.actor})
        return pages.get_paginated_response(answer.data)


class BatchDetail(ApiView):
    @extend_schema(responses=batch_answers.BatchAnswer)
    def get(self, request: Request, pk: UUID) -> Response:
        """How far a scoring run is, which rows it refused, and where its result is."""
        found = batch_of(self.actor, pk)
        return Response(batch_answers.BatchAnswer(found, context={"actor": self.actor}).data)


class BatchResult(ApiView):
    @extend_schema(responses={(200, PARQUET): OpenApiResponse(OpenApiTypes.BINARY)})
    def get(self, request: Request, pk: UUID) -> FileResponse:
        """The scored file, as Parquet; 409 before it is there."""
        return download(batch_of(self.actor, pk), self.actor)


class BatchCancel(ApiView):
    @extend_schema(request=None, responses={202: JobAnswer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Ask a scoring run to stop. Asking again changes nothing."""
        return accepted(cancel_scoring(batch_of(self.actor, pk), actor=self.actor), is_new=False)


def download(run: BatchRun, actor: Actor) -> FileResponse:
    """The result as it is read from the store, in pieces; its private copy goes with the response."""
    held = ExitStack()
    file = held.enter_context(opened_result(run, actor=actor))
    name = f"{run.model.name}-{run.version.number}-{str(run.pk)[:8]}.parquet"
    response = FileResponse(file, as_attachment=True, filename=name, content_type=PARQUET)
    response._resource_closers.append(held.close)  # type: ignore[attr-defined]
    response["Content-Length"] = str(run.result_bytes)
    response["Digest"] = f"sha-256={run.result_digest}"
    return response


def accepted(run: BatchRun, *, is_new: bool = True) -> Response:
    if is_new:
        ring(run)
    answer = {"job_id": str(run.pk), "status_url": reverse("monitoring:batch", args=[run.pk])}
    return Response(answer, status=status.HTTP_202_ACCEPTED, headers={"Location": answer["status_url"]})
