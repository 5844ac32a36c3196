"""The endpoints of slices and of the gaps between their levels: validate, call one service or selector, serialise."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.serializers import FiniteField, StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from monitoring import services
from monitoring.choices import SliceSource
from monitoring.models import FairnessLimits, Slice
from monitoring.selectors.slices import fairness_of, slices_of
from monitoring.services.slices import limits_in_force
from registry.api.views import valid
from registry.models import RegisteredModel
from registry.selectors import model_named


class SliceFields(StrictSerializer):
    name = TextField(max_length=128)
    levels = serializers.ListField(child=TextField(max_length=128), required=False, max_length=50)
    cuts = serializers.ListField(child=FiniteField(), required=False, max_length=50)

    def get_fields(self) -> dict[str, Any]:
        # As an attribute it would hide the field's own `source`.
        return {**super().get_fields(), "source": serializers.ChoiceField(SliceSource.choices)}


class FairnessLimitFields(StrictSerializer):
    limits = serializers.DictField(
        child=FiniteField(allow_null=True), required=False, help_text="measure -> gap, or null for none"
    )
    min_rows = serializers.IntegerField(required=False)


class SliceAnswer(serializers.ModelSerializer[Slice]):
    """`counts_from` says from when on answers that are received are counted."""

    declared_by = serializers.CharField(source="declared_by.username")

    class Meta:
        model = Slice
        fields = ("id", "name", "source", "levels", "cuts", "counts_from", "counts_until", "declared_by", "declared_at")


class FairnessLimitsAnswer(serializers.Serializer[Any]):
    limits = serializers.DictField(child=serializers.FloatField(allow_null=True))
    min_rows = serializers.IntegerField()

    def to_representation(self, instance: FairnessLimits) -> dict[str, Any]:
        return {"limits": limits_in_force(instance), "min_rows": instance.min_rows}


class SlicesAnswer(serializers.Serializer[Any]):
    slices = SliceAnswer(many=True)
    fairness = FairnessLimitsAnswer()


class Slices(ApiView):
    @extend_schema(responses=SlicesAnswer)
    def get(self, request: Request, name: str) -> Response:
        """By what the model's answers are told apart, and from which gap between levels an alert is raised."""
        return Response(_told(model_named(self.actor, name)))

    @extend_schema(request=SliceFields, responses={201: SliceAnswer})
    def post(self, request: Request, name: str) -> Response:
        """Count by another slice, from a minute from now on: a feature, or a name in the `slices` that answers are
        logged with. Without `levels` and `cuts` they are chosen from the data."""
        model, asked = model_named(self.actor, name), valid(SliceFields(data=request.data))
        made = services.declare_slice(model, actor=self.actor, **asked)
        return Response(SliceAnswer(made).data, status=status.HTTP_201_CREATED)


class SliceDetail(ApiView):
    @extend_schema(responses=SliceAnswer)
    def delete(self, request: Request, name: str, pk: int) -> Response:
        """Count by it no more. What it has counted stays, and labels of those answers are still added."""
        ended = services.end_slice(model_named(self.actor, name), pk, actor=self.actor)
        return Response(SliceAnswer(ended).data)


class Limits(ApiView):
    @extend_schema(request=FairnessLimitFields, responses=FairnessLimitsAnswer)
    def put(self, request: Request, name: str) -> Response:
        """From which gap between levels an alert is raised; what is left out stays, null leaves a measure out."""
        model, asked = model_named(self.actor, name), valid(FairnessLimitFields(data=request.data))
        return Response(FairnessLimitsAnswer(services.set_fairness_limits(model, actor=self.actor, **asked)).data)


def _told(model: RegisteredModel) -> dict[str, Any]:
    limits = FairnessLimitsAnswer(fairness_of(model)).data
    return {"slices": SliceAnswer(slices_of(model), many=True).data, "fairness": limits}
