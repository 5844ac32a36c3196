"""What is kept about runs beside their results: notes and figures, comparisons, and how far MLflow is behind."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.views import ApiView
from training.selectors.mirror import lag


class MirrorAnswer(serializers.Serializer[Any]):
    """How far MLflow is behind with what happened in your teams."""

    waiting = serializers.IntegerField(help_text="runs and changes of versions that it has not been told of")
    oldest_at = serializers.DateTimeField(allow_null=True)
    lag_secs = serializers.FloatField(source="secs", help_text="how long the oldest of them waits")
    error = serializers.CharField(help_text="what the last try said")


class Mirror(ApiView):
    @extend_schema(responses=MirrorAnswer)
    def get(self, request: Request) -> Response:
        """How far MLflow is behind; nothing here waits for it."""
        return Response(MirrorAnswer(lag(self.actor)).data)
