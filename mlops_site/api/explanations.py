"""Why a version answers as it does, over HTTP: it joins the registry, which explains rows, and monitoring, which has
those that were asked."""

from __future__ import annotations

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.api import serializers
from mlops_site.core.api.views import ApiView
from monitoring.services import explain_predictions
from registry import selectors
from registry.api.views import valid

_EITHER = PolymorphicProxySerializer(
    component_name="ExplanationsAnswer",
    serializers=[
        serializers.PredictionExplanationAnswer(many=True),
        serializers.GlobalExplanationAnswer,
    ],
    resource_type_field_name=None,
    many=False,
)


class Explanations(ApiView):
    @extend_schema(parameters=[serializers.ExplanationFilter], responses=_EITHER)
    def get(self, request: Request, name: str, version: str) -> Response:
        """With `prediction_ids`, what each input contributed to those answers; without, what the version looks at in
        general. Contributions, base value and residual add up to the output, in the output space."""
        asked = valid(serializers.ExplanationFilter(data=request.query_params.dict()))
        found = selectors.version_numbered(selectors.model_named(self.actor, name), version)
        if "prediction_ids" not in asked:
            return Response(serializers.GlobalExplanationAnswer(selectors.global_explanation(found)).data)
        ids = [each.strip() for each in asked["prediction_ids"].split(",") if each.strip()]
        explained = explain_predictions(found, actor=self.actor, prediction_ids=ids)
        return Response(serializers.PredictionExplanationAnswer(explained, many=True).data)
