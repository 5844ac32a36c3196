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
from monitoring.api import alert_answers as serializers
from monitoring.models import Alert
from monitoring.selectors.alerts import between, counts
from monitoring.selectors.periods import period
from monitoring.selectors.told import told_of
from registry.api.views import listed, valid
from registry.selectors import model_named

FILTERS = ("status", "severity", "model", "rule", "assignee", "group")


class Alerts(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.AlertFilter], responses=serializers.AlertAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The alerts of your teams, worst first: the unresolved ones, or those of `status` (`all` for every one)."""
        asked = valid(serializers.AlertFilter(data=request.query_params.dict()))
        filters = {name: asked[name] for name in FILTERS if name in asked}
        return listed(self, selectors.alerts(self.actor, **filters), serializers.AlertAnswer)


class Counts(ApiView):
    @extend_schema(parameters=[serializers.CountFilter], responses=serializers.CountAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The unresolved alerts of your teams, or of one model, by severity."""
        asked = valid(serializers.CountFilter(data=request.query_params.dict()))
        found = counts(self.actor, model=asked.get("model", ""))
        return Response(serializers.CountAnswer(found, many=True).data)


class Handle(ApiView):
    @extend_schema(request=serializers.Handle, responses=serializers.HandledAnswer)
    def post(self, request: Request) -> Response:
        """Acknowledge, resolve or assign up to 200 alerts, each by itself; what stands against one is said of it."""
        asked = valid(serializers.Handle(data=request.data))
        return Response(serializers.HandledAnswer(services.handle_alerts(actor=self.actor, **asked)).data)


class AlertDetail(ApiView):
    @extend_schema(responses=serializers.AlertDetailAnswer)
    def get(self, request: Request, pk: UUID) -> Response:
        """One alert: its evidence, its group, what happened to it, who was told, and what happens next."""
        return Response(serializers.AlertDetailAnswer(told_of(selectors.alert_of(self.actor, pk))).data)


class Acknowledge(ApiView):
    @extend_schema(request=Comment, responses=serializers.AlertAnswer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Say that you look at it: it escalates no more."""
        asked = valid(Comment(data=request.data))
        return _now(self, services.acknowledge_alert(_alert(self, pk), actor=self.actor, **asked))


class Resolve(ApiView):
    @extend_schema(request=Comment, responses=serializers.AlertAnswer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Close it. The next finding opens another."""
        asked = valid(Comment(data=request.data))
        return _now(self, services.resolve_alert(_alert(self, pk), actor=self.actor, **asked))


class SilenceAlert(ApiView):
    @extend_schema(request=serializers.Silence, responses=serializers.AlertAnswer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Deliver nothing new about its model, rule and subject for 1 to 720 `hours`; it still counts."""
        asked = valid(serializers.Silence(data=request.data))
        return _now(self, services.silence_alert(_alert(self, pk), actor=self.actor, **asked))


class Assign(ApiView):
    @extend_schema(request=serializers.Assign, responses=serializers.AlertAnswer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Give it to a person of the team, who is told, or with null to nobody. It escalates until acknowledged."""
        asked = valid(serializers.Assign(data=request.data))
        return _now(self, services.assign_alert(_alert(self, pk), actor=self.actor, **asked))


class Remark(ApiView):
    @extend_schema(request=serializers.Said, responses=serializers.AlertAnswer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Add a remark to its history, also after its end."""
        asked = valid(serializers.Said(data=request.data))
        return _now(self, services.comment_alert(_alert(self, pk), actor=self.actor, **asked))


def _alert(view: ApiView, pk: UUID) -> Alert:
    return selectors.alert_of(view.actor, pk)


def _now(view: ApiView, alert: Alert) -> Response:
    """The alert as it is after the deed."""
    return Response(serializers.AlertAnswer(_alert(view, alert.pk)).data)


class Timeline(ApiView):
    @extend_schema(parameters=[serializers.SpanFilter], responses=serializers.SpanAnswer(many=True))
    def get(self, request: Request, model: str) -> Response:
        """The model's alerts that lasted at some time of a window, the first seen first."""
        asked = valid(serializers.SpanFilter(data=request.query_params.dict()))
        start, end = asked.get("from"), asked.get("to")
        span = period(window=asked.get("window") or ("" if start or end else "30d"), start=start, end=end)
        found = between(model_named(self.actor, model), span.start, span.end)
        return Response(serializers.SpanAnswer(found, many=True).data)
