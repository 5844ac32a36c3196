"""What a dashboard and a report are taken away as: a sheet of each figure, one file of all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from mlops_site.core import downloads, sheets
from mlops_site.core.api.serializers import TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Actor
from monitoring.api.dashboard import DashboardFilter
from monitoring.pipeline.standalone import dashboard_file, report_file
from monitoring.selectors.dashboard import dashboard, version_shown
from monitoring.selectors.periods import Period, period
from monitoring.selectors.reports import report_of
from monitoring.selectors.tables import table
from registry import selectors as registry
from registry.models import Version


class FigureFilter(DashboardFilter):
    feature = TextField(
        max_length=200, required=False, default="", help_text="of the figure “feature”; of a file, the first"
    )


class FigureSheet(ApiView):
    @extend_schema(parameters=[FigureFilter], responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, model: str, figure: str) -> StreamingHttpResponse:
        """The numbers of one figure as CSV: metrics, performance, volume, latency, drift, feature, scores,
        predictions, slices, quality, reports or alerts."""
        version, chosen, said = _asked(request, self.actor, model)
        head, rows = table(dashboard(version, chosen, metric=said["metric"]), figure, feature=said["feature"])
        return downloads.sheet(sheets.lines(head, rows), name=f"{_name(version, chosen)}-{figure}.csv")


class DashboardFile(ApiView):
    @extend_schema(parameters=[FigureFilter], responses={(200, "text/html"): OpenApiTypes.STR})
    def get(self, request: Request, model: str) -> HttpResponse:
        """The dashboard as one HTML file of about 5 MB that opens anywhere without a network."""
        version, chosen, said = _asked(request, self.actor, model)
        drawn = {"metric": said["metric"], "feature": said["feature"]}
        text = dashboard_file(version, chosen, **drawn, site=_site(request))
        return downloads.page(text, name=f"{_name(version, chosen)}.html")


class ReportFile(ApiView):
    @extend_schema(responses={(200, "text/html"): OpenApiTypes.STR})
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        """A report as one HTML file of about 5 MB that opens anywhere without a network."""
        found = report_of(self.actor, pk)
        name = f"{found.model.name}-{found.version.number}-{found.window_to:%Y%m%dT%H%M}.html"
        return downloads.page(report_file(found, site=_site(request)), name=name)


def _asked(request: Request, actor: Actor, model: str) -> tuple[Version, Period, dict[str, Any]]:
    """The version and the window, and what else was said."""
    asked = FigureFilter(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    said = asked.validated_data
    version = version_shown(registry.model_named(actor, model), said["version"])
    if version is None:
        raise NotFound(f"{model} has no version yet", code="unknown_version")
    return version, period(window=said["window"], start=said["from"], end=said["to"]), said


def _name(version: Version, chosen: Period) -> str:
    return f"{version.model.name}-{version.number}-{chosen.start:%Y%m%dT%H%M}-{chosen.end:%Y%m%dT%H%M}"


def _site(request: Request) -> str:
    """Where the file's links lead to: the name under which this site was asked, which ALLOWED_HOSTS has allowed."""
    return request.build_absolute_uri("/").rstrip("/")
