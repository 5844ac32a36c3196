"""The endpoint of a model's retention: validate, call one service or selector, serialise."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.serializers import StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from monitoring import services
from monitoring.selectors.retention import Terms, terms_of, waiting_labels
from registry.api.views import valid
from registry.selectors import model_named

_DAYS = "days; 0 for good, null as the site says"


class RetentionFields(StrictSerializer):
    """What is left out stays."""

    retention_days = serializers.IntegerField(required=False, allow_null=True, help_text=f"of predictions: {_DAYS}")
    feature_days = serializers.IntegerField(required=False, allow_null=True, help_text=f"of features: {_DAYS}")
    hold = TextField(max_length=200, required=False, allow_blank=True, help_text="why nothing may be deleted")


class RetentionAnswer(serializers.Serializer[Any]):
    model = serializers.CharField()
    retention_days = serializers.IntegerField(help_text="of predictions and their labels, as it holds; 0: for good")
    feature_days = serializers.IntegerField(help_text="of what predictions were made of, as it holds; 0: for good")
    own_retention_days = serializers.IntegerField(allow_null=True, help_text="null: the site's is taken")
    own_feature_days = serializers.IntegerField(allow_null=True, help_text="null: the site's is taken")
    hold = serializers.CharField()
    waiting_labels = serializers.IntegerField(help_text="labels whose prediction has not come")


def answer(found: Terms) -> dict[str, Any]:
    own = {"own_retention_days": found.own.retention_days, "own_feature_days": found.own.feature_days}
    said = {**found._asdict(), **own, "model": found.model.name, "waiting_labels": waiting_labels(found.model.pk)}
    return dict(RetentionAnswer(said).data)


class ModelRetention(ApiView):
    @extend_schema(responses=RetentionAnswer)
    def get(self, request: Request, name: str) -> Response:
        """How long predictions of a model are kept, and the features that they were made of."""
        return Response(answer(terms_of(model_named(self.actor, name))))

    @extend_schema(request=RetentionFields, responses=RetentionAnswer)
    def put(self, request: Request, name: str) -> Response:
        """Set it; what is left out stays. A hold, which no deletion passes, is an approver's to set and to lift."""
        model, asked = model_named(self.actor, name), valid(RetentionFields(data=request.data))
        return Response(answer(services.set_retention(model, actor=self.actor, fields=asked)))
