"""What the endpoints of monitoring take and answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.serializers import StrictSerializer, TextField
from registry.api.serializers import PageFilter


class AlertFilter(PageFilter):
    status = TextField(max_length=20, required=False, allow_blank=True)
    severity = TextField(max_length=20, required=False, allow_blank=True)
    model = TextField(max_length=63, required=False, allow_blank=True)


class Comment(StrictSerializer):
    comment = TextField(required=False, allow_blank=True, default="")


class Silence(Comment):
    hours = serializers.IntegerField()


class AlertAnswer(serializers.Serializer[Any]):
    """One alert; `evidence` is the finding as it was last seen."""

    id = serializers.UUIDField()
    model = serializers.CharField(source="model.name")
    version = serializers.CharField(source="version.number")
    rule = serializers.CharField()
    subject = serializers.CharField(source="subject_key")
    severity = serializers.CharField()
    status = serializers.CharField()
    summary = serializers.CharField()
    evidence = serializers.JSONField()
    report = serializers.UUIDField(source="report_id", allow_null=True)
    count = serializers.IntegerField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    acknowledged_by = serializers.CharField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    resolved_by = serializers.CharField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    comment = serializers.CharField()
    silenced_until = serializers.DateTimeField(allow_null=True)
