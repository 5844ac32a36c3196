"""The endpoints of incidents."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from registry import selectors, services
from registry.api import catalog_answers, serializers
from registry.api.views import listed, valid


class Incidents(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.IncidentFilter], responses=catalog_answers.IncidentAnswer(many=True))
    def get(self, request: Request) -> Response:
        """What went wrong with models of your teams, latest first."""
        asked = valid(serializers.IncidentFilter(data=request.query_params.dict()))
        model = selectors.model_named(self.actor, asked["model"]) if "model" in asked else None
        filters = {name: asked[name] for name in ("status", "kind", "severity") if name in asked}
        return listed(self, selectors.incidents(self.actor, model=model, **filters), catalog_answers.IncidentAnswer)


class IncidentDetail(ApiView):
    @extend_schema(responses=catalog_answers.IncidentAnswer)
    def get(self, request: Request, pk: int) -> Response:
        """One incident."""
        return Response(catalog_answers.IncidentAnswer(selectors.incident_numbered(self.actor, pk)).data)


class CloseIncident(ApiView):
    @extend_schema(request=serializers.Resolution, responses=catalog_answers.IncidentAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Close an incident, saying how it was resolved."""
        asked = valid(serializers.Resolution(data=request.data))
        done = services.close_incident(selectors.incident_numbered(self.actor, pk), actor=self.actor, **asked)
        return Response(catalog_answers.IncidentAnswer(done).data)
