"""What those who answer for models take away: cards, evidence, the inventory, the report on a period."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core import sheets
from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from registry import selectors
from registry.api import governance_answers as answers
from registry.api import serializers
from registry.api.views import valid
from registry.models import Version

MARKDOWN = "text/markdown"


class MarkdownRenderer(BaseRenderer):
    """For who accepts text/markdown; a refusal is JSON all the same, as its own type says."""

    media_type, format, charset = MARKDOWN, "md", "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return data.encode() if isinstance(data, str) else json.dumps(data).encode()


class CardView(ApiView):
    renderer_classes = [JSONRenderer, MarkdownRenderer]

    @extend_schema(responses={200: answers.CardAnswer, (200, MARKDOWN): OpenApiTypes.STR})
    def get(self, request: Request, name: str, version: str) -> Response:
        """The model card, generated from what is stored; `Accept: text/markdown` answers a document."""
        found = selectors.card(_version(self, name, version))
        wants_text = isinstance(request.accepted_renderer, MarkdownRenderer)
        return Response(selectors.markdown(found) if wants_text else selectors.card_json(found))


class CardMarkdown(ApiView):
    renderer_classes = [MarkdownRenderer]

    @extend_schema(responses={(200, MARKDOWN): OpenApiTypes.STR})
    def get(self, request: Request, name: str, version: str) -> HttpResponse:
        """The model card as a Markdown file."""
        found = _version(self, name, version)
        return _named(
            HttpResponse(selectors.markdown(selectors.card(found)), content_type=f"{MARKDOWN}; charset=utf-8"),
            f"{name}-{version}-card.md",
        )


class Evidence(ApiView):
    @extend_schema(responses={(200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY)})
    def get(self, request: Request, name: str, version: str) -> FileResponse:
        """Everything that proves how a version came to be, as a ZIP with a manifest of SHA-256 digests."""
        found = _version(self, name, version)
        file = selectors.evidence_of(found, actor=self.actor)
        return FileResponse(file, as_attachment=True, filename=f"{name}-{version}-evidence.zip")


class Inventory(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.InventoryFilter], responses=answers.InventoryAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The models of your teams with who answers for them, what they are for, and what is open."""
        pages = Pages()
        page: Any = pages.paginate_queryset(_inventory(self, request), request, view=self)
        return pages.get_paginated_response(answers.InventoryAnswer(selectors.inventory_lines(page), many=True).data)


class InventorySheet(ApiView):
    @extend_schema(parameters=[serializers.InventoryFilter], responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request) -> StreamingHttpResponse:
        """The inventory as CSV, complete."""
        rows = selectors.inventory_table(_inventory(self, request))
        return _sheet("model-inventory.csv", selectors.INVENTORY_HEAD, rows)


class PeriodReport(ApiView):
    @extend_schema(parameters=[serializers.PeriodFilter], responses=answers.PeriodReportAnswer)
    def get(self, request: Request) -> Response:
        """Promotions, rollbacks, waivers, incidents, new, updated and retired models between two days."""
        return Response(answers.PeriodReportAnswer(_period(self, request)).data)


class PeriodSheet(ApiView):
    @extend_schema(parameters=[serializers.PeriodFilter], responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request) -> StreamingHttpResponse:
        """The report on a period as CSV."""
        found = _period(self, request)
        return _sheet(f"models-{found.first}-{found.last}.csv", selectors.PERIOD_HEAD, found.happenings)


def _version(view: ApiView, name: str, number: str) -> Version:
    return selectors.version_numbered(selectors.model_named(view.actor, name), number)


def _inventory(view: ApiView, request: Request) -> Any:
    asked = valid(serializers.InventoryFilter(data=request.query_params.dict()))
    filters = {name: asked[name] for name in ("search", "team", "risk_tier", "stage") if name in asked}
    return selectors.inventory(view.actor, **filters)


def _period(view: ApiView, request: Request) -> selectors.Period:
    asked = valid(serializers.PeriodFilter(data=request.query_params.dict()))
    first: date = asked["from"]
    return selectors.period_report(view.actor, first=first, last=asked["to"], team=asked.get("team", ""))


def _sheet(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(sheets.lines(head, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _named(response: HttpResponse, name: str) -> HttpResponse:
    response["Content-Disposition"] = f'inline; filename="{name}"'
    return response
