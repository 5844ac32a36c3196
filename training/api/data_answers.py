"""What the endpoints of data set versions and sources take and answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from rest_framework import serializers

from mlops_site.core.api.serializers import StrictSerializer, TextField
from mlops_site.core.choices import JobState
from mlops_site.core.durations import spelt
from training.api.serializers import MAX_LIST, MAX_NAME
from training.choices import SourceKind, Takes
from training.models import Comparison, DataSource, Fetch
from training.selectors.differences import Difference
from training.services.comparisons import MAX_KEYS


class Declared(StrictSerializer):
    target = TextField(max_length=MAX_NAME)
    time_column = TextField(max_length=MAX_NAME, required=False, allow_blank=True)
    group_column = TextField(max_length=MAX_NAME, required=False, allow_blank=True)
    pii = serializers.ListField(child=TextField(max_length=MAX_NAME), required=False, max_length=MAX_LIST)
    team = TextField(max_length=63, required=False)


class Registration(Declared):
    """A file where the operator lets the team read."""

    name = TextField(max_length=63)
    location = TextField(max_length=1000, help_text="/folder/file.csv or s3://bucket/key.parquet")


class Keeping(StrictSerializer):
    """What is left out stays."""

    owner = TextField(max_length=150, required=False, allow_blank=True, help_text="a member of the team; empty: nobody")
    retention_days = serializers.IntegerField(required=False, allow_null=True, help_text="null: they stay for good")
    hold = TextField(max_length=200, required=False, allow_blank=True, help_text="why no bytes may be deleted")


class KeepingAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    team = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    retention_days = serializers.IntegerField(allow_null=True)
    hold = serializers.CharField()


class ErasureReason(StrictSerializer):
    reason = TextField(max_length=200)


class ErasureAnswer(serializers.Serializer[Any]):
    dataset = serializers.CharField(source="version")
    at = serializers.DateTimeField()
    by = serializers.CharField(allow_null=True)
    reason = serializers.CharField()


class LookAnswer(serializers.Serializer[Any]):
    """A column; the figures of numbers are null for categories, `top` is empty for numbers."""

    name = serializers.CharField()
    kind = serializers.CharField()
    rows = serializers.IntegerField()
    missing = serializers.IntegerField()
    unreadable = serializers.IntegerField()
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    mean = serializers.FloatField(allow_null=True)
    sd = serializers.FloatField(allow_null=True)
    quartiles = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    top = serializers.ListField(child=serializers.ListField(), help_text="[level, rows], the most frequent first")
    others = serializers.IntegerField()


class ProfileAnswer(serializers.Serializer[Any]):
    columns = LookAnswer(many=True)
    personal = serializers.ListField(
        child=serializers.DictField(), help_text="columns that look like personal data: column, kind, why"
    )


class OriginAnswer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    said = serializers.DictField()
    source_name = serializers.CharField()
    parent_version = serializers.CharField()


class OutcomeAnswer(serializers.Serializer[Any]):
    run = serializers.CharField()
    state = serializers.ChoiceField(JobState.choices)
    model = serializers.CharField()
    version = serializers.CharField()
    stage = serializers.CharField()
    request = serializers.IntegerField(allow_null=True)
    request_status = serializers.CharField()
    by = serializers.CharField()
    started = serializers.DateTimeField()


class LineageAnswer(serializers.Serializer[Any]):
    dataset = serializers.CharField()
    digest = serializers.CharField()
    erased = serializers.BooleanField()
    origin = OriginAnswer()
    children = serializers.ListField(child=serializers.CharField())
    runs = OutcomeAnswer(many=True)


class VersionLineageAnswer(serializers.Serializer[Any]):
    run = serializers.CharField(allow_null=True)
    dataset = serializers.CharField(allow_null=True)
    digest = serializers.CharField()
    origin = OriginAnswer(allow_null=True)


class DifferenceFilter(StrictSerializer):
    keys = TextField(max_length=2000, required=False, allow_blank=True, help_text="columns that tell rows apart: a,b")


class DatasetComparisonAsked(StrictSerializer):
    keys = serializers.ListField(
        child=TextField(max_length=MAX_NAME),
        required=False,
        max_length=MAX_KEYS,
        help_text="columns that tell rows apart",
    )


class DatasetComparisonAnswer(serializers.ModelSerializer[Comparison]):
    """A comparison that a worker makes."""

    job_id = serializers.CharField(source="pk")
    before = serializers.CharField()
    after = serializers.CharField()
    requested_by = serializers.CharField()
    attempts = serializers.IntegerField(source="attempt")
    result_url = serializers.SerializerMethodField(help_text="once it has succeeded")

    class Meta:
        model = Comparison
        fields = (
            "job_id", "before", "after", "keys", "state", "progress", "step", "error", "attempts", "requested_by",
            "result_url", "created_at", "started_at", "finished_at",
        )  # fmt: skip

    def get_result_url(self, row: Comparison) -> str | None:
        if row.state != JobState.SUCCEEDED:
            return None
        path = reverse("training:diff", args=[row.after.dataset.name, row.before.version, row.after.version])
        return f"{path}?{urlencode({'keys': ','.join(row.keys)})}" if row.keys else path


class DifferenceAnswer(serializers.Serializer[Any]):
    before = serializers.CharField()
    after = serializers.CharField()
    rows = serializers.DictField(
        help_text="keys, compared columns, before, after, added, removed, changed, same, cells changed by column"
    )
    columns = serializers.DictField(help_text="added, removed, retyped: [name, type before, type after]")
    distribution = serializers.DictField(help_text="as `drift` of a report, with `size` of each effect in a word")

    def to_representation(self, instance: Difference) -> dict[str, Any]:
        drift = instance.drift
        features = [{**vars(each), "size": instance.sizes[each.name]} for each in drift.features]
        return {
            "before": str(instance.before),
            "after": str(instance.after),
            "rows": instance.rows._asdict(),
            "columns": instance.columns._asdict(),
            "distribution": {**vars(drift), "features": features},
        }


class SourceFields(StrictSerializer):
    """What is left out stays. `every` is like "7d", "12h" or "30m"; null: only when somebody asks."""

    location = TextField(max_length=500, required=False, help_text="a folder, s3://bucket/prefix, or a database's name")
    pattern = TextField(max_length=100, required=False, allow_blank=True)
    takes = TextField(max_length=10, required=False, help_text=", ".join(Takes.values))
    query = TextField(max_length=20_000, required=False, allow_blank=True)
    dataset_name = TextField(max_length=63, required=False)
    target = TextField(max_length=MAX_NAME, required=False)
    time_column = TextField(max_length=MAX_NAME, required=False, allow_blank=True)
    group_column = TextField(max_length=MAX_NAME, required=False, allow_blank=True)
    pii = serializers.ListField(child=TextField(max_length=MAX_NAME), required=False, max_length=MAX_LIST)
    run_config = serializers.DictField(required=False, help_text="model_name and fields of POST /training/start")
    every = TextField(max_length=10, required=False, allow_null=True, allow_blank=True)
    enabled = serializers.BooleanField(required=False)
    owner = TextField(max_length=150, required=False, help_text="yourself: its looks act in your name from then on")


class SourceNew(SourceFields):
    name = TextField(max_length=63)
    kind = TextField(max_length=10, help_text=", ".join(SourceKind.values))
    team = TextField(max_length=63, required=False)
    location = TextField(max_length=500)
    dataset_name = TextField(max_length=63)
    target = TextField(max_length=MAX_NAME)


class SourceAnswer(serializers.ModelSerializer[DataSource]):
    team = serializers.CharField()
    owner = serializers.CharField()
    every = serializers.SerializerMethodField(help_text='like "7d", "12h" or "30m"; null: only when somebody asks')
    last_state = serializers.CharField(allow_null=True, default=None)
    last_at = serializers.DateTimeField(allow_null=True, default=None)

    def get_every(self, source: DataSource) -> str | None:
        return spelt(source.every) if source.every else None

    class Meta:
        model = DataSource
        fields = (
            "name", "team", "owner", "kind", "location", "pattern", "takes", "query", "dataset_name", "target",
            "time_column", "group_column", "pii", "run_config", "every", "enabled", "last_state", "last_at",
        )  # fmt: skip


class FetchAnswer(serializers.ModelSerializer[Fetch]):
    job_id = serializers.CharField(source="pk")
    source_name = serializers.CharField(source="source.name")
    requested_by = serializers.CharField()
    dataset = serializers.CharField(source="version", allow_null=True)
    run = serializers.CharField(source="run_id", allow_null=True)
    attempts = serializers.IntegerField(source="attempt")

    class Meta:
        model = Fetch
        fields = (
            "job_id", "source_name", "state", "step", "error", "note", "dataset", "run", "scheduled", "requested_by",
            "attempts", "created_at", "started_at", "finished_at",
        )  # fmt: skip


class WayStepAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    state = serializers.CharField(help_text="done, running, waiting, failed, blocked, held, none")
    said = serializers.CharField()


class WayAnswer(serializers.Serializer[Any]):
    fetch = FetchAnswer()
    steps = WayStepAnswer(many=True)
