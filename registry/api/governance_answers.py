"""What cards, the inventory and the report on a period answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class CardAnswer(serializers.Serializer[Any]):
    """A model card; what is not stored is null or empty, and named in `missing`."""

    about = serializers.JSONField(
        help_text="model, version, stage, risk tier, owner, purpose, intended use, limitations"
    )
    training = serializers.JSONField(help_text="algorithm, params, search, seed, code, run")
    metrics = serializers.JSONField()
    slices = serializers.JSONField(allow_null=True)
    calibration = serializers.JSONField()
    told = serializers.JSONField(
        help_text="what the run was asked for: decision, calibrated, groups, actual_to_expected, nested; empty without"
    )
    importance = serializers.JSONField()
    gate = serializers.JSONField(allow_null=True)
    drift = serializers.JSONField(allow_null=True)
    signature = serializers.JSONField()
    threshold = serializers.FloatField()
    artifact = serializers.JSONField()
    reports = serializers.JSONField()
    approvals = serializers.JSONField()
    served = serializers.JSONField()
    since = serializers.CharField(allow_null=True, help_text="the production version that changes are counted from")
    changes = serializers.JSONField(allow_null=True)
    missing = serializers.ListField(child=serializers.CharField())

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With `data`, which a serializer has a meaning for already."""
        said = serializers.JSONField(help_text="data set, digest, rows, period, target, holdout")
        return {**super().get_fields(), "data": said}


class ValidationAnswer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    version = serializers.CharField()
    by = serializers.CharField()
    role = serializers.CharField()
    decision = serializers.CharField()


class InventoryAnswer(serializers.Serializer[Any]):
    model = serializers.CharField()
    team = serializers.CharField()
    owner = serializers.CharField()
    risk_tier = serializers.CharField()
    task_type = serializers.CharField()
    purpose = serializers.CharField()
    production = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)
    versions = serializers.IntegerField()
    validated = ValidationAnswer(allow_null=True, help_text="the latest review of any of its versions")
    open_requests = serializers.IntegerField()
    open_incidents = serializers.IntegerField()
    open_conditions = serializers.IntegerField()
    revalidate_on = serializers.DateField(allow_null=True, help_text="the earliest day of the open conditions")
    created_at = serializers.DateTimeField()


class HappeningAnswer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    at = serializers.DateTimeField()
    model = serializers.CharField()
    version = serializers.CharField(allow_null=True)
    team = serializers.CharField()
    risk_tier = serializers.CharField()
    by = serializers.CharField(allow_null=True)
    what = serializers.CharField()
    reason = serializers.CharField()


class PeriodReportAnswer(serializers.Serializer[Any]):
    to = serializers.DateField(source="last")
    happenings = HappeningAnswer(many=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With `from`, which Python does not let a class name."""
        return {"from": serializers.DateField(source="first"), **super().get_fields()}
