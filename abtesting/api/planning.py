"""What an experiment needs, before it starts."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from abtesting.selectors.planning import MAX_METRICS, Planning, plan_experiment
from abtesting.stats.measures import Costs
from mlops_site.core.api.serializers import FiniteField, StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from registry.api.views import valid

MAX_STEPS = 20


class CostFields(StrictSerializer):
    false_positive = FiniteField(min_value=0, max_value=1e12)
    false_negative = FiniteField(min_value=0, max_value=1e12)


class PlanFields(StrictSerializer):
    """`gain` is the smallest change worth finding (left out: a twentieth of what A reaches), `margin` how much worse B
    may be if that is what is asked."""

    model_name = TextField(max_length=63)
    version_b = TextField(max_length=40, required=False)
    success_metrics = serializers.ListField(child=TextField(max_length=40), max_length=MAX_METRICS, required=False)
    gain = FiniteField(required=False, allow_null=True)
    margin = FiniteField(required=False, allow_null=True)
    traffic_split = FiniteField(required=False, allow_null=True)
    holdout = FiniteField(required=False)
    power = FiniteField(required=False)
    costs = CostFields(required=False, allow_null=True)
    steps = serializers.ListField(child=FiniteField(), max_length=MAX_STEPS, required=False, allow_null=True)
    step_hours = FiniteField(required=False, allow_null=True, min_value=0.1, max_value=8760)

    def validate_costs(self, value: dict[str, float] | None) -> Costs | None:
        return Costs(**value) if value else None


class OptionAnswer(serializers.Serializer[Any]):
    mode = serializers.CharField(source="plan.design")
    name = serializers.CharField()
    share_b = serializers.FloatField(allow_null=True, help_text="of the answers: 0 of a shadow test, null of a ramp")
    labels = serializers.IntegerField(source="plan.labels")
    units = serializers.IntegerField(source="plan.units")
    days = serializers.FloatField(source="plan.days", allow_null=True)
    takes = serializers.CharField()
    words = serializers.CharField(source="plan.words")


class TrafficAnswer(serializers.Serializer[Any]):
    """Of the last 30 days; null for what is not known yet."""

    claims = serializers.IntegerField()
    per_day = serializers.FloatField()
    label_share = serializers.FloatField(allow_null=True)
    label_days = serializers.FloatField(allow_null=True)


class PlanAnswer(serializers.Serializer[Any]):
    """The designs, the cheapest first, and in words why that one."""

    model = serializers.CharField()
    version_a = serializers.CharField()
    version_b = serializers.CharField(help_text="empty where none was named")
    metric = serializers.CharField(source="measure.name")
    baseline = serializers.FloatField(source="baseline.found.value")
    baseline_from = serializers.CharField(source="baseline.source")
    gain = serializers.FloatField()
    margin = serializers.FloatField(allow_null=True)
    power = serializers.FloatField(source="aim.power")
    correlation = serializers.FloatField()
    traffic = TrafficAnswer()
    proposed = OptionAnswer()
    options = OptionAnswer(source="proposal.options", many=True)
    words = serializers.ListField(child=serializers.CharField())


class PlanView(ApiView):
    @extend_schema(request=PlanFields, responses=PlanAnswer)
    def post(self, request: Request) -> Response:
        """Labels, claims and days that each design needs before it can tell both versions apart, at the traffic and the
        delay of labels that the model really has. Nothing is written."""
        found: Planning = plan_experiment(self.actor, **valid(PlanFields(data=request.data)))
        return Response(PlanAnswer(found).data)
