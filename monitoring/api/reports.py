"""The endpoints of reports: validate, call one service or selector, serialise."""

from __future__ import annotations

import os
from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core import jobs
from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import JobAnswer
from mlops_site.core.api.views import ApiView
from mlops_site.core.models import Job
from mlops_site.core.permissions import Actor
from mlops_site.core.tasks import ring
from monitoring.api import report_answers
from monitoring.models import MonitoringRun
from monitoring.selectors.reports import report_of, reports
from monitoring.services.reports import Window, request_report
from registry.selectors import model_named, version_numbered


class Run(ApiView):
    @extend_schema(
        parameters=[report_answers.WaitFilter],
        request=report_answers.MonitoringStart,
        responses={202: JobAnswer, 200: report_answers.ReportAnswer},
    )
    def post(self, request: Request) -> Response:
        """Queue a report on a window of one version's answers; `wait=true` makes it now and answers it."""
        how = report_answers.WaitFilter(data=request.query_params.dict())
        how.is_valid(raise_exception=True)
        asked = report_answers.MonitoringStart(data=request.data)
        asked.is_valid(raise_exception=True)
        run = _requested(self.actor, **asked.validated_data)
        return _made(run, self.actor) if how.validated_data["wait"] else accepted(run)


class Reports(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[report_answers.ReportFilter], responses=report_answers.ReportAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Reports, newest first."""
        asked = report_answers.ReportFilter(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        pages = self.pagination_class()
        rows = reports(self.actor, model=asked.validated_data.get("model", ""))
        page: Any = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(report_answers.ReportAnswer(page, many=True).data)


class ReportDetail(ApiView):
    @extend_schema(responses=report_answers.ReportAnswer)
    def get(self, request: Request, pk: UUID) -> Response:
        """One report."""
        return Response(report_answers.ReportAnswer(report_of(self.actor, pk)).data)


def _requested(actor: Actor, *, model_name: str, window: Window, model_version: str | None = None) -> MonitoringRun:
    model = model_named(actor, model_name)
    version = version_numbered(model, model_version) if model_version else None
    return request_report(actor=actor, model=model, version=version, window_from=window.start, window_to=window.end)


def _made(run: MonitoringRun, actor: Actor) -> Response:
    """The report, made in this process; a job that did not end is followed like any other."""
    if claimed := jobs.claim(run, worker=f"web:{os.getpid()}"):
        jobs.run_here(claimed)
    run.refresh_from_db(fields=["report"])
    if run.report_id is None:
        return accepted(run)
    return Response(report_answers.ReportAnswer(report_of(actor, run.report_id)).data)


def accepted(run: Job) -> Response:
    """Ring for a queued job, and say where it is followed."""
    ring(run)
    answer = {"job_id": str(run.pk), "status_url": reverse("api:job", args=[run.pk])}
    return Response(answer, status=status.HTTP_202_ACCEPTED, headers={"Location": answer["status_url"]})
