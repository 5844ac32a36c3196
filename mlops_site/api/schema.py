"""Predict in the schema: DRF does not see a plain view, so its address is described here."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.api import serializers
from mlops_site.core.api.auth import BearerAuthentication
from mlops_site.core.api.views import ApiView
from mlops_site.core.errors import NotFound

PATH = "/api/v1/models/{name}/predict"
_BODY = PolymorphicProxySerializer(
    component_name="PredictBody",
    serializers=[serializers.PredictOne, serializers.PredictMany],
    resource_type_field_name=None,
)


class Predict(ApiView):
    """The description of `predict.predict`; it serves nothing."""

    @extend_schema(
        operation_id="models_predict",
        parameters=[OpenApiParameter("name", str, OpenApiParameter.PATH)],
        request=_BODY,
        responses=serializers.PredictAnswer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Score one row, or up to 1,000 as `rows`, with the production version. Logged before it is answered."""
        raise NotFound(name)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a token is sent; found by drf-spectacular because it is defined."""

    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def add_predict(endpoints: list[Any]) -> list[Any]:
    """A preprocessing hook of drf-spectacular."""
    return [*endpoints, (PATH, PATH, "POST", Predict.as_view())]
