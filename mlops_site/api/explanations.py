"""Why a version answers as it does, over HTTP: it joins the registry, which explains rows, and monitoring, which has
those that were asked."""

from __future__ import annotations

from django.urls import reverse
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.api import serializers
from mlops_site.core.api.serializers import JobAnswer
from mlops_site.core.api.views import ApiView
from mlops_site.core.tasks import ring
from monitoring.services import explain_predictions, request_explanations
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

    @extend_schema(request=serializers.ExplanationOrder, responses={202: JobAnswer})
    def post(self, request: Request, name: str, version: str) -> Response:
        """Explain up to 1,000 predictions in a job; once it has succeeded, they are read with GET."""
        asked = valid(serializers.ExplanationOrder(data=request.data))
        found = selectors.version_numbered(selectors.model_named(self.actor, name), version)
        run = request_explanations(found, actor=self.actor, **asked)
        ring(run)
        answer = {"job_id": str(run.pk), "status_url": reverse("api:job", args=[run.pk])}
        return Response(answer, status=status.HTTP_202_ACCEPTED, headers={"Location": answer["status_url"]})
