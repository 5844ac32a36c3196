"""The endpoints of alerts."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import Comment
from mlops_site.core.api.views import ApiView
from monitoring import selectors, services
from monitoring.api import serializers
from monitoring.models import Alert
from registry.api.views import listed, valid


class Alerts(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.AlertFilter], responses=serializers.AlertAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The alerts of your teams, worst first: the unresolved ones, or those of `status` (`all` for every one)."""
        asked = valid(serializers.AlertFilter(data=request.query_params.dict()))
        filters = {name: asked[name] for name in ("status", "severity", "model") if name in asked}
        return listed(self, selectors.alerts(self.actor, **filters), serializers.AlertAnswer)


class Acknowledge(ApiView):
    @extend_schema(request=Comment, responses=serializers.AlertAnswer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Say that you look at it."""
        asked = valid(Comment(data=request.data))
        return _answer(services.acknowledge_alert(selectors.alert_of(self.actor, pk), actor=self.actor, **asked))


class Resolve(ApiView):
    @extend_schema(request=Comment, responses=serializers.AlertAnswer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Close it. The next finding opens another."""
        asked = valid(Comment(data=request.data))
        return _answer(services.resolve_alert(selectors.alert_of(self.actor, pk), actor=self.actor, **asked))


class Silence(ApiView):
    @extend_schema(request=serializers.Silence, responses=serializers.AlertAnswer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Deliver nothing new about its model, rule and subject for 1 to 720 `hours`; it still counts."""
        asked = valid(serializers.Silence(data=request.data))
        return _answer(services.silence_alert(selectors.alert_of(self.actor, pk), actor=self.actor, **asked))


def _answer(alert: Alert) -> Response:
    return Response(serializers.AlertAnswer(alert).data)
