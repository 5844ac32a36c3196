"""Feature sets over HTTP: define, load values, read the latest, make training sets."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.parsers import LinesParser, StrictJSONParser
from mlops_site.core.api.serializers import IngestedAnswer, MomentField, StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.permissions import Action
from training import selectors
from training.api.feature_answers import (
    FeatureSetAnswer,
    KnownAnswer,
    LoadedAnswer,
    TableLoad,
    columns_said,
)
from training.api.serializers import MAX_NAME, DatasetAnswer
from training.selectors import features as reads
from training.services import (
    build_training_set,
    define_feature_set,
    load_feature_table,
    load_feature_values,
)
from training.services.feature_tables import Columns, File
from training.services.training_sets import Labels


class Column(StrictSerializer):
    name = TextField(max_length=MAX_NAME)
    kind = TextField(max_length=20, help_text="number or category")
    description = TextField(max_length=500, required=False, allow_blank=True)
    pii = serializers.BooleanField(required=False, help_text="personal data: never shown, left out of what runs take")


class Definition(StrictSerializer):
    name = TextField(max_length=63)
    entity = TextField(max_length=63, help_text="what a unit_id names, such as person")
    columns = serializers.ListField(child=Column(), min_length=1, max_length=500)
    description = TextField(required=False, allow_blank=True)
    freshness_secs = serializers.IntegerField(required=False, allow_null=True, help_text="older values count as none")
    owner = TextField(max_length=150, required=False, help_text="a person of the team; left out, you")
    team = TextField(max_length=63, required=False)

    def get_fields(self) -> dict[str, Any]:
        # As an attribute it would hide the serializer's own `source`.
        told = "where the values come from"
        source = TextField(max_length=500, required=False, allow_blank=True, help_text=told)
        return {**super().get_fields(), "source": source}


class ValueRow(StrictSerializer):
    """Documents what `services.feature_values` reads."""

    unit_id = TextField(max_length=128)
    event_at = serializers.DateTimeField(help_text="when the values held, with its zone")
    ingested_at = serializers.DateTimeField(
        required=False, help_text="when the source knew them, of history that is loaded later; left out, now"
    )

    def get_fields(self) -> dict[str, Any]:
        # As an attribute it would hide what a serializer's own `values` are.
        return {**super().get_fields(), "values": serializers.DictField(help_text="a value or null for every column")}


class LatestFilter(StrictSerializer):
    unit_id = TextField(max_length=13_000, help_text="up to 100, with commas between them")
    as_of = MomentField(required=False)

    def validate_unit_id(self, text: str) -> list[str]:
        units = [unit.strip() for unit in text.split(",") if unit.strip()]
        if not 1 <= len(units) <= 100:
            raise serializers.ValidationError(f"must be 1 to 100 keys but got {len(units)}", code="out_of_range")
        return units


class TrainingSet(StrictSerializer):
    name = TextField(max_length=63, help_text="of the data set that is made")
    labels = TextField(max_length=80, help_text="the data set of units, times and targets: name or name@version")
    unit_column = TextField(max_length=MAX_NAME)
    time_column = TextField(max_length=MAX_NAME, help_text="when each row was, or would have been, asked about")
    zone = TextField(max_length=60, required=False, allow_blank=True, help_text="of times without one, such as UTC")
    feature_sets = serializers.ListField(child=TextField(max_length=80), min_length=1, max_length=20)
    cutoff = MomentField(required=False, help_text="values received later are not looked at; left out, now")


class FeatureSets(ApiView):
    pagination_class = Pages

    @extend_schema(responses=FeatureSetAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The newest version of each feature set, by name, with how much is known and how fresh it is."""
        pages = Pages()
        page = pages.paginate_queryset(reads.newest_feature_sets(self.actor), request, view=self) or []
        context = {"states": reads.states(page)}
        return pages.get_paginated_response(FeatureSetAnswer(page, many=True, context=context).data)

    @extend_schema(request=Definition, responses={201: FeatureSetAnswer})
    def post(self, request: Request) -> Response:
        """Define a feature set, or its next version. The same definition as the newest is that version."""
        asked = Definition(data=request.data)
        asked.is_valid(raise_exception=True)
        found = define_feature_set(actor=self.actor, **asked.validated_data)
        return Response(_said(found), status=status.HTTP_201_CREATED)


class FeatureSetDetail(ApiView):
    @extend_schema(responses=FeatureSetAnswer)
    def get(self, request: Request, reference: str) -> Response:
        """One version (`name` is the newest, else `name@version`), with what reads it."""
        found = reads.feature_set_named(self.actor, reference)
        versions, datasets = reads.uses_of(found, self.actor)
        used = {"versions": [str(each) for each in versions], "datasets": [str(each) for each in datasets]}
        return Response({**_said(found), "used_by": used})


class FeatureValues(ApiView):
    parser_classes = (StrictJSONParser, LinesParser)

    @extend_schema(parameters=[LatestFilter], responses=KnownAnswer(many=True))
    def get(self, request: Request, reference: str) -> Response:
        """The latest value of units, now or as of a time; personal data is left out."""
        asked = LatestFilter(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        units, as_of = asked.validated_data["unit_id"], asked.validated_data.get("as_of")
        found = reads.feature_set_named(self.actor, reference)
        known = reads.latest_values(found, actor=self.actor, units=units, as_of=as_of)
        return Response([KnownAnswer(each._asdict()).data for each in known])

    @extend_schema(request=ValueRow(many=True), responses=IngestedAnswer)
    def post(self, request: Request, reference: str) -> Response:
        """Load up to 10,000 rows, as a JSON array or as NDJSON; each is judged by itself, and kept once."""
        rows: Any = request.data
        found = reads.feature_set_named(self.actor, reference, action=Action.FEATURE_LOAD)
        return Response(IngestedAnswer(load_feature_values(found, actor=self.actor, rows=rows)).data)


class FeatureTable(ApiView):
    parser_classes = (StrictJSONParser, MultiPartParser)
    file_field = "file"

    @extend_schema(request={"application/json": TableLoad, "multipart/form-data": TableLoad}, responses=LoadedAnswer)
    def post(self, request: Request, reference: str) -> Response:
        """Load the rows of a data set, or of a csv or parquet file, up to 200,000."""
        asked = TableLoad(data=request.data)
        asked.is_valid(raise_exception=True)
        said = dict(asked.validated_data)
        found = reads.feature_set_named(self.actor, reference, action=Action.FEATURE_LOAD)
        file, columns = said.get("file"), Columns(*columns_said(said))
        source = File(file, file.name) if file else selectors.dataset_named(self.actor, said["dataset"])
        loaded = load_feature_table(found, actor=self.actor, source=source, columns=columns)
        return Response(LoadedAnswer(loaded).data)


class TrainingSets(ApiView):
    @extend_schema(request=TrainingSet, responses={201: DatasetAnswer})
    def post(self, request: Request) -> Response:
        """Join labels with what was known of each unit at the label's time, as a version of a data set."""
        asked = TrainingSet(data=request.data)
        asked.is_valid(raise_exception=True)
        said = dict(asked.validated_data)
        dataset = selectors.dataset_named(self.actor, said.pop("labels"))
        labels = Labels(dataset, said.pop("unit_column"), said.pop("time_column"), said.pop("zone", ""))
        made = build_training_set(actor=self.actor, labels=labels, **said)
        return Response(DatasetAnswer(made, context={"actor": self.actor}).data, status=status.HTTP_201_CREATED)


def _said(found: Any) -> dict[str, Any]:
    return dict(FeatureSetAnswer(found, context={"states": reads.states([found])}).data)
