"""The skew report as data."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.views import ApiView
from mlops_site.core.errors import NotFound
from monitoring.api.dashboard import WindowAnswer, WindowFilter
from monitoring.selectors.dashboard import version_shown
from monitoring.selectors.periods import Period, period
from monitoring.selectors.skew import Skew, skew
from registry import selectors as registry


class SkewExampleAnswer(serializers.Serializer[Any]):
    prediction_id = serializers.CharField()
    unit_id = serializers.CharField()
    at = serializers.DateTimeField()
    verdict = serializers.CharField(help_text="different, or late")
    served = serializers.JSONField(allow_null=True)
    recomputed = serializers.JSONField(allow_null=True)


class FeatureSkewAnswer(serializers.Serializer[Any]):
    feature = serializers.CharField()
    feature_set = serializers.CharField()
    masked = serializers.BooleanField(help_text="personal data: no value is told")
    completed = serializers.IntegerField(help_text="read from the feature set when it was asked")
    given = serializers.IntegerField(help_text="sent by the caller")
    unknown = serializers.IntegerField(help_text="the feature set had no fresh value, then or now")
    compared = serializers.IntegerField()
    different = serializers.IntegerField(help_text="other than what was known when it was asked")
    different_share = serializers.FloatField(allow_null=True)
    late = serializers.IntegerField(help_text="as was known then; more has arrived since")
    late_share = serializers.FloatField(allow_null=True)
    mean_abs_difference = serializers.FloatField(allow_null=True)
    examples = SkewExampleAnswer(many=True)


class SkewAnswer(serializers.Serializer[Any]):
    """`predictions` of `of` in the window that name a unit were looked at, the newest."""

    model = serializers.CharField()
    version = serializers.CharField()
    window = WindowAnswer()
    feature_sets = serializers.ListField(child=serializers.CharField())
    predictions = serializers.IntegerField()
    of = serializers.IntegerField()
    features = FeatureSkewAnswer(many=True)


class SkewDetail(ApiView):
    @extend_schema(parameters=[WindowFilter], responses=SkewAnswer)
    def get(self, request: Request, model: str) -> Response:
        """The features that a version was given against its feature sets, recomputed as of each prediction."""
        asked = WindowFilter(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        version = version_shown(registry.model_named(self.actor, model), said["version"])
        if version is None:
            raise NotFound(f"{model} has no version yet", code="unknown_version")
        chosen = period(window=said["window"], start=said["from"], end=said["to"])
        return Response(SkewAnswer(_told(skew(version, chosen, actor=self.actor), chosen)).data)


def _told(found: Skew, chosen: Period) -> dict[str, Any]:
    window = {"name": chosen.name, "from": chosen.start, "to": chosen.end}
    about = {"model": found.version.model.name, "version": found.version.number, "window": window}
    return {**found._asdict(), **about}
