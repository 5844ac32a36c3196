"""Logging predictions and ground truth: validate, call one service, answer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.columns import ArrowParser, ParquetParser
from mlops_site.core.api.parsers import LinesParser, StrictJSONParser
from mlops_site.core.api.serializers import IngestedAnswer
from mlops_site.core.api.views import ApiView
from mlops_site.core.rows import check_count
from monitoring import services
from monitoring.api import serializers
from monitoring.services.pressure import admit
from monitoring.tasks import ring_fold


class PredictionLog(ApiView):
    @extend_schema(request=serializers.LoggedPrediction, responses={201: serializers.LoggedAnswer})
    def post(self, request: Request) -> Response:
        """Log one prediction that was made elsewhere. Sent again, it is found and not kept twice."""
        row: Any = request.data
        admit(self.actor, 1)
        logged = services.log_prediction(row, actor=self.actor)
        return Response(serializers.LoggedAnswer(logged).data, status=status.HTTP_201_CREATED)


class BatchView(ApiView):
    """Rows in, a verdict on each."""

    parser_classes = (StrictJSONParser, LinesParser, ParquetParser, ArrowParser)

    def rows(self) -> Any:
        """What was sent, if so much may be."""
        sent: Any = self.request.data
        check_count(sent)
        admit(self.actor, len(sent))
        return sent

    def answer(self, found: services.Ingested) -> Response:
        ring_fold()
        return Response(IngestedAnswer(found).data)


class PredictionLogs(BatchView):
    @extend_schema(request=serializers.LoggedPrediction(many=True), responses=IngestedAnswer)
    def post(self, request: Request) -> Response:
        """Log up to 10,000 predictions, as a JSON array, NDJSON, Parquet or an Arrow stream; each row is judged by
        itself. In columns, features are a struct, or columns named `features.NAME`. JSON may come gzipped."""
        return self.answer(services.log_predictions(self.rows(), actor=self.actor))


class GroundTruth(BatchView):
    @extend_schema(request=serializers.GroundTruthRow(many=True), responses=IngestedAnswer)
    def post(self, request: Request) -> Response:
        """Say what turned out to be true of up to 10,000 predictions: late, first, again, or corrected."""
        return self.answer(services.log_labels(self.rows(), actor=self.actor))
