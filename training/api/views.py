"""The endpoints of training: validate, call one service or selector, serialise."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import JobAnswer
from mlops_site.core.api.views import ApiView
from training import selectors
from training.api import serializers
from training.models import Comparison, Fetch, Training
from training.services import (
    cancel_reproduction,
    cancel_run,
    create_dataset_version,
    request_reproduction,
    request_run,
)
from training.tasks import ring


class Datasets(ApiView):
    pagination_class = Pages
    parser_classes = (MultiPartParser,)
    file_field = "file"

    @extend_schema(responses=serializers.DatasetAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Versions of data sets, by name, newest first."""
        return _listed(request, self, selectors.dataset_versions(self.actor), serializers.DatasetAnswer)

    @extend_schema(
        request={"multipart/form-data": serializers.DatasetUpload}, responses={201: serializers.DatasetAnswer}
    )
    def post(self, request: Request) -> Response:
        """Upload a csv or parquet file. The same bytes declared the same way are the same version."""
        form = serializers.DatasetUpload(data=request.data)
        form.is_valid(raise_exception=True)
        asked = dict(form.validated_data)
        file = asked.pop("file")
        version = create_dataset_version(actor=self.actor, source=file, filename=file.name, **asked)
        return Response(
            serializers.DatasetAnswer(version, context={"actor": self.actor}).data, status=status.HTTP_201_CREATED
        )


class DatasetDetail(ApiView):
    @extend_schema(responses=serializers.DatasetAnswer)
    def get(self, request: Request, name: str, version: int) -> Response:
        """One version with its schema and quality report."""
        found = selectors.dataset_named(self.actor, f"{name}@{version}")
        return Response(serializers.DatasetAnswer(found, context={"actor": self.actor}).data)


class Start(ApiView):
    @extend_schema(request=serializers.TrainingStart, responses={202: JobAnswer})
    def post(self, request: Request) -> Response:
        """Queue a training run."""
        asked = serializers.TrainingStart(data=request.data)
        asked.is_valid(raise_exception=True)
        run = request_run(actor=self.actor, **asked.validated_data)
        ring(run)
        return accepted(run)


class Status(ApiView):
    @extend_schema(responses=serializers.StatusAnswer)
    def get(self, request: Request, job_id: UUID) -> Response:
        """How far a run is, the best so far, its log, and what came of it."""
        run = selectors.run_of(self.actor, job_id)
        return Response(serializers.StatusAnswer(selectors.status(run)).data)


class Cancel(ApiView):
    @extend_schema(request=None, responses={202: JobAnswer})
    def post(self, request: Request, job_id: UUID) -> Response:
        """Ask a run to stop. Asking again changes nothing."""
        return accepted(cancel_run(selectors.run_of(self.actor, job_id), actor=self.actor))


class Reproduce(ApiView):
    pagination_class = Pages

    @extend_schema(responses=serializers.ReproductionAnswer(many=True))
    def get(self, request: Request, job_id: UUID) -> Response:
        """How often a run was done again and what came of it, newest first."""
        rows = selectors.reproductions(self.actor, selectors.run_of(self.actor, job_id))
        return _listed(request, self, rows, serializers.ReproductionAnswer)

    @extend_schema(request=None, responses={202: JobAnswer})
    def post(self, request: Request, job_id: UUID) -> Response:
        """Do a run again by its own spec, data and seed, and compare; nothing is registered."""
        made = request_reproduction(selectors.run_of(self.actor, job_id), actor=self.actor)
        ring(made)
        return accepted(made, "reproduction")


class ReproductionStatus(ApiView):
    @extend_schema(responses=serializers.ReproductionAnswer)
    def get(self, request: Request, job_id: UUID) -> Response:
        """How far a reproduction is, and whether the same came out."""
        return Response(serializers.ReproductionAnswer(selectors.reproduction_of(self.actor, job_id)).data)


class ReproductionCancel(ApiView):
    @extend_schema(request=None, responses={202: JobAnswer})
    def post(self, request: Request, job_id: UUID) -> Response:
        """Ask a reproduction to stop. Asking again changes nothing."""
        found = selectors.reproduction_of(self.actor, job_id)
        return accepted(cancel_reproduction(found, actor=self.actor), "reproduction")


class Runs(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.RunFilter], responses=serializers.RunAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Training runs, newest first."""
        asked = serializers.RunFilter(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        model, state = (asked.validated_data.get(name) for name in ("model", "state"))
        return _listed(request, self, selectors.runs(self.actor, model=model, state=state), serializers.RunAnswer)


def _listed(request: Request, view: ApiView, rows: Any, serializer: Any) -> Response:
    pages = Pages()
    page: Any = pages.paginate_queryset(rows, request, view=view)
    return pages.get_paginated_response(serializer(page, many=True, context={"actor": view.actor}).data)


def accepted(run: Training | Fetch | Comparison, name: str = "status") -> Response:
    """202, and where the job can be followed."""
    answer = {"job_id": str(run.pk), "status_url": reverse(f"training:{name}", args=[run.pk])}
    return Response(answer, status=status.HTTP_202_ACCEPTED, headers={"Location": answer["status_url"]})
