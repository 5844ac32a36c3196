"""What the endpoints of feature sets answer, and the form of a table that is loaded."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlops_site.core.api.parsers import load_json
from mlops_site.core.api.serializers import RejectionAnswer, StrictSerializer, TextField
from mlops_site.core.errors import Malformed
from training.api.serializers import MAX_NAME
from training.models import FeatureSetVersion
from training.selectors.features import State


class StateAnswer(serializers.Serializer[Any]):
    """`newest_event_at` is the time of the newest event; the set is stale where that is older than it allows."""

    rows = serializers.IntegerField()
    loads = serializers.IntegerField()
    received_at = serializers.DateTimeField(allow_null=True)
    newest_event_at = serializers.DateTimeField(allow_null=True)
    is_stale = serializers.BooleanField()


class UsedAnswer(serializers.Serializer[Any]):
    versions = serializers.ListField(child=serializers.CharField(), help_text="of models, that read it")
    datasets = serializers.ListField(child=serializers.CharField(), help_text="that were made with it")


class FeatureSetAnswer(serializers.ModelSerializer[FeatureSetVersion]):
    name = serializers.CharField(source="feature_set.name")
    team = serializers.CharField(source="feature_set.team.name")
    owner = serializers.CharField(source="owner.username")
    columns = serializers.ListField(child=serializers.DictField(), help_text="[{name, kind, description, pii}]")
    state = serializers.SerializerMethodField()
    used_by = UsedAnswer(required=False, read_only=True, help_text="of a single one")
    created_by = serializers.CharField(source="created_by.username")

    class Meta:
        model = FeatureSetVersion
        fields = (
            "name", "version", "team", "entity", "owner", "description", "source", "freshness_secs", "columns",
            "digest", "state", "used_by", "created_by", "created_at",
        )  # fmt: skip

    @extend_schema_field(StateAnswer)
    def get_state(self, found: FeatureSetVersion) -> Any:
        state: State = self.context["states"][found.pk]
        return StateAnswer(state).data


class KnownAnswer(serializers.Serializer[Any]):
    unit_id = serializers.CharField()
    event_at = serializers.DateTimeField()
    ingested_at = serializers.DateTimeField()
    is_stale = serializers.BooleanField()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "values": serializers.DictField()}


class LoadedAnswer(serializers.Serializer[Any]):
    """The three add up to the rows of the table; up to 100 rejections are told."""

    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = serializers.IntegerField()
    rejections = RejectionAnswer(many=True)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class NamesField(serializers.Field[Any, Any, Any, Any]):
    """Names by name: an object, or its JSON text in a form."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        try:
            found = load_json(data.encode()) if isinstance(data, str) else data
        except Malformed as error:
            raise serializers.ValidationError(error.detail, code="malformed") from error
        is_names = isinstance(found, dict) and all(isinstance(name, str) for name in found.values())
        if not is_names or len(json.dumps(found)) > 200_000:
            raise serializers.ValidationError("must be an object of column names", code="wrong_type")
        return dict(found)

    def to_representation(self, value: Any) -> Any:
        return value


class TableLoad(StrictSerializer):
    """A data set, or a form with a file. Times without a zone are refused unless `zone` says which it is."""

    dataset = TextField(max_length=80, required=False, help_text="name or name@version; or a file")
    file = serializers.FileField(required=False, allow_empty_file=True, max_length=255)
    unit_column = TextField(max_length=MAX_NAME)
    event_column = TextField(max_length=MAX_NAME, help_text="when the values held")
    ingested_column = TextField(
        max_length=MAX_NAME, required=False, help_text="when the source knew them; left out, they are known from now on"
    )
    columns = NamesField(required=False, help_text="column of the feature set -> of the table, where they differ")
    zone = TextField(max_length=60, required=False, help_text="of times without one, such as UTC")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("dataset" in attrs) == ("file" in attrs):
            raise serializers.ValidationError({"dataset": "give a data set or a file, one of them"}, code="required")
        return attrs


def columns_said(said: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of `Columns`, in its order."""
    optional = (said.get("ingested_column", ""), said.get("columns"), said.get("zone", ""))
    return (said["unit_column"], said["event_column"], *optional)
