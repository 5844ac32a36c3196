"""What the endpoints of training take and answer. Ranges and names are the service's to check."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlops_site.core.api.serializers import FiniteField, StrictSerializer, TextField
from mlops_site.core.choices import JobState
from training.choices import Calibration, CrossValidation, Need
from training.models import DatasetVersion
from training.selectors.keeping import quality_shown, schema_shown

MAX_NAME = 128
MAX_LIST = 2_000


class DatasetUpload(StrictSerializer):
    """A multipart form; `pii` is repeated for each column with personal data."""

    file = serializers.FileField(allow_empty_file=True, max_length=255)
    name = TextField(max_length=63)
    target = TextField(max_length=MAX_NAME)
    time_column = TextField(max_length=MAX_NAME, required=False, allow_blank=True)
    group_column = TextField(max_length=MAX_NAME, required=False, allow_blank=True)
    pii = serializers.ListField(child=TextField(max_length=MAX_NAME), required=False, max_length=MAX_LIST)
    team = TextField(max_length=63, required=False)


class DatasetAnswer(serializers.ModelSerializer[DatasetVersion]):
    name = serializers.CharField(source="dataset.name")
    created_by = serializers.CharField(source="created_by.username")
    schema = serializers.SerializerMethodField(help_text="no values of personal columns without `input.view`")
    quality = serializers.SerializerMethodField()

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_quality(self, version: DatasetVersion) -> dict[str, Any]:
        return quality_shown(self.context["actor"], version)

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_schema(self, version: DatasetVersion) -> dict[str, Any]:
        return schema_shown(self.context["actor"], version)

    class Meta:
        model = DatasetVersion
        fields = (
            "name", "version", "digest", "rows", "target", "time_column", "group_column", "pii", "schema", "quality",
            "lineage", "created_by", "created_at",
        )  # fmt: skip


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]})
class LabelField(serializers.Field[Any, Any, Any, Any]):
    """A class label: a text, a number or a truth value, as it stands in the data."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str | int | float) or len(str(data)) > MAX_NAME:
            raise serializers.ValidationError(f"must be a text or a number but got {data!r}"[:200], code="invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class TrainingStart(StrictSerializer):
    model_name = TextField(max_length=63)
    dataset = TextField(max_length=80)
    target = TextField(max_length=MAX_NAME, required=False)
    task_type = TextField(max_length=20, required=False)
    positive_class = LabelField(required=False, allow_null=True)
    features = serializers.ListField(child=TextField(max_length=MAX_NAME), required=False, max_length=MAX_LIST)
    model_types = serializers.ListField(child=TextField(max_length=40), required=False, max_length=20)
    hyperparameter_optimization = serializers.BooleanField(required=False)
    n_trials = serializers.IntegerField(required=False)
    search_space = serializers.DictField(child=serializers.DictField(), required=False)
    cv_folds = serializers.IntegerField(required=False)
    cv = TextField(max_length=20, required=False, help_text=", ".join(CrossValidation.values))
    metric = TextField(max_length=40, required=False)
    nested_folds = serializers.IntegerField(
        required=False,
        allow_null=True,
        help_text="2 to 10 outer folds: how good the search as a whole is, at the price of that many searches more",
    )
    slices = serializers.ListField(child=TextField(max_length=MAX_NAME), required=False, max_length=20)
    available_at = serializers.DictField(
        child=TextField(max_length=MAX_NAME), required=False, help_text="by feature: the column of when it was known"
    )
    calibration = TextField(max_length=20, required=False, help_text=", ".join(Calibration.values))
    cost_matrix = serializers.DictField(
        child=FiniteField(), required=False, help_text="cost of a row by outcome: false_negative, false_positive, ..."
    )
    capacity = serializers.DictField(
        child=FiniteField(), required=False, help_text='{"at_most": 200, "of_rows": 5000}: rows that may be positive'
    )
    monotone = serializers.DictField(
        child=serializers.IntegerField(min_value=-1, max_value=1),
        required=False,
        help_text="by feature: 1 the answer never falls as it grows, -1 it never rises, 0 either",
    )
    auto_deploy_threshold = FiniteField(required=False, allow_null=True)
    margin = FiniteField(required=False)
    new_rows_weight = FiniteField(required=False, help_text="of a row that a retraining added, where an old one is 1")
    feature_sets = serializers.ListField(
        child=TextField(max_length=80),
        required=False,
        max_length=20,
        help_text="read for features that a caller leaves out",
    )
    need = TextField(max_length=20, required=False, help_text=f"of the gate: {', '.join(Need.values)}")
    workers = serializers.IntegerField(required=False, help_text="worker processes that share the trials")
    gpu = serializers.BooleanField(required=False, help_text="leave the run to workers of the queue gpu")
    seed = serializers.IntegerField(required=False)
    trigger_reason = TextField(max_length=200, required=False)


class TrialsAnswer(serializers.Serializer[Any]):
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    best = serializers.DictField(allow_null=True)


class EntryAnswer(serializers.Serializer[Any]):
    model_type = serializers.CharField()
    metric = serializers.CharField()
    mean = serializers.FloatField()
    se = serializers.FloatField()
    folds = serializers.ListField(child=serializers.FloatField())
    params = serializers.DictField()


class RunAnswer(serializers.Serializer[Any]):
    """A run in a list."""

    job_id = serializers.CharField(source="pk")
    model_name = serializers.CharField(source="model.name")
    dataset = serializers.CharField()
    state = serializers.ChoiceField(JobState.choices)
    progress = serializers.FloatField()
    step = serializers.CharField()
    version = serializers.CharField(source="version.number", default=None, allow_null=True)
    error = serializers.CharField()
    trigger_reason = serializers.CharField()
    requested_by = serializers.CharField(source="requested_by.username")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class StatusAnswer(serializers.Serializer[Any]):
    """One run, as `selectors.Status` has it."""

    job_id = serializers.CharField()
    model_name = serializers.CharField()
    dataset = serializers.CharField()
    state = serializers.ChoiceField(JobState.choices)
    progress = serializers.FloatField(help_text="0 to 1")
    seconds_left = serializers.FloatField(
        allow_null=True, help_text="for the trials that are left, at the pace so far; null while that is not known"
    )
    step = serializers.CharField()
    trials = TrialsAnswer()
    leaderboard = EntryAnswer(many=True)
    nested = serializers.DictField(
        allow_null=True,
        help_text="of the search as a whole: mean, se, ci95 over the outer folds, promised by its own folds, optimism",
    )
    version = serializers.CharField(allow_null=True)
    gate = serializers.DictField(allow_null=True)
    error = serializers.CharField()
    attempts = serializers.IntegerField()
    trigger_reason = serializers.CharField()
    trigger = serializers.DictField(help_text="what asked for it: alert, decision, trigger; empty of a person")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    mlflow = serializers.DictField()
    log = serializers.ListField(child=serializers.CharField())


class ReproductionAnswer(serializers.Serializer[Any]):
    """A run done again."""

    job_id = serializers.CharField(source="pk")
    run = serializers.CharField(source="run_id")
    state = serializers.ChoiceField(JobState.choices)
    progress = serializers.FloatField(help_text="0 to 1")
    step = serializers.CharField()
    error = serializers.CharField()
    attempts = serializers.IntegerField(source="attempt")
    outcome = serializers.DictField(
        allow_null=True,
        help_text="equal (exactly); folds, holdout and predictions with the largest difference each; differences: what "
        "else is not as it was",
    )
    requested_by = serializers.CharField(source="requested_by.username")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class RunFilter(StrictSerializer):
    """The query of GET /training/runs."""

    model = TextField(max_length=63, required=False)
    state = serializers.ChoiceField(JobState.choices, required=False)
    page = serializers.IntegerField(required=False)
    page_size = serializers.IntegerField(required=False)
