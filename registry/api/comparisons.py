"""The endpoints that put versions of a model side by side."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as drf
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.views import ApiView
from registry import selectors
from registry.api import serializers
from registry.api.views import valid


class SideBySideAnswer(drf.Serializer[Any]):
    """Each metric has a cell a version with its value and `against_base`: the difference on the shared holdout rows
    with its paired 95 % interval. `overlays` has a series a version."""

    name = drf.CharField()
    base = drf.CharField()
    task = drf.ChoiceField(choices=["two classes", "several classes", "regression"])
    versions = drf.JSONField()
    metrics = drf.JSONField()
    overlays = drf.JSONField()
    params = drf.JSONField()
    signature = drf.JSONField()
    dataset = drf.JSONField()
    artifact = drf.JSONField()


class StayAnswer(drf.Serializer[Any]):
    to = drf.DateTimeField(allow_null=True)

    def get_fields(self) -> dict[str, drf.Field[Any, Any, Any, Any]]:
        """With `from`, which Python does not let a class name."""
        return {"from": drf.DateTimeField(source="since"), **super().get_fields()}


class TrendPointAnswer(drf.Serializer[Any]):
    version = drf.CharField()
    value = drf.FloatField()
    ci95 = drf.ListField(child=drf.FloatField(), allow_null=True)
    stage = drf.CharField()
    registered_at = drf.DateTimeField()
    production = StayAnswer(many=True)


class TrendAnswer(drf.Serializer[Any]):
    """Points in the order of their numbers; `left_out` counts older versions."""

    metric = drf.CharField(allow_null=True)
    greater_is_better = drf.BooleanField(allow_null=True)
    points = TrendPointAnswer(many=True)
    known = drf.ListField(child=drf.CharField())
    left_out = drf.IntegerField()


class CompareMany(ApiView):
    @extend_schema(
        operation_id="models_compare_many", parameters=[serializers.CompareManyFilter], responses=SideBySideAnswer
    )
    def get(self, request: Request, name: str) -> Response:
        """Two to eight versions against one of them, with ROC, precision-recall and calibration overlays."""
        asked = valid(serializers.CompareManyFilter(data=request.query_params.dict()))
        model = selectors.model_named(self.actor, name)
        found = selectors.versions_named(self.actor, model, asked["versions"])
        said = selectors.side_by_side(found, base=asked.get("base"), diff_only=asked["diff_only"])
        return Response({"name": model.name, **said})


class MetricTrend(ApiView):
    @extend_schema(parameters=[serializers.TrendFilter], responses=TrendAnswer)
    def get(self, request: Request, name: str) -> Response:
        """One metric over the versions of a model with its intervals, their stages, and when each served."""
        asked = valid(serializers.TrendFilter(data=request.query_params.dict()))
        found = selectors.metric_trend(selectors.model_named(self.actor, name), metric=asked.get("metric"))
        return Response(TrendAnswer(found).data)
