"""What the endpoints of alerts take and answer. Ranges and names are the service's to check."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.serializers import Comment, MomentField, StrictSerializer, TextField
from registry.api.serializers import PageFilter

MOST_AT_ONCE = 200


class AlertFilter(PageFilter):
    status = TextField(max_length=20, required=False, allow_blank=True, help_text="open, acknowledged, resolved, all")
    severity = TextField(max_length=20, required=False, allow_blank=True)
    model = TextField(max_length=63, required=False, allow_blank=True)
    rule = TextField(max_length=20, required=False, allow_blank=True)
    assignee = TextField(max_length=150, required=False, allow_blank=True, help_text="a name, me or nobody")
    group = TextField(max_length=36, required=False, allow_blank=True)


class CountFilter(StrictSerializer):
    model = TextField(max_length=63, required=False, allow_blank=True)


class Silence(Comment):
    hours = serializers.IntegerField()


class Assign(Comment):
    assignee = TextField(max_length=150, allow_null=True, help_text="who handles it; null: nobody")


class Said(StrictSerializer):
    comment = TextField()


class Handle(Comment):
    """A deed on several alerts."""

    ids = serializers.ListField(child=serializers.UUIDField(), max_length=MOST_AT_ONCE, min_length=1)
    deed = TextField(max_length=20, help_text="acknowledge, resolve or assign")
    assignee = TextField(max_length=150, required=False, allow_null=True)


class RefusalAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    code = serializers.CharField()
    detail = serializers.CharField()


class HandledAnswer(serializers.Serializer[Any]):
    """The two add up to the ids that were sent."""

    done = serializers.ListField(child=serializers.UUIDField())
    refused = RefusalAnswer(many=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        refused = [{"id": str(pk), "code": code, "detail": detail} for pk, code, detail in instance.refused]
        return {"done": [str(pk) for pk in instance.done], "refused": refused}


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
    report = serializers.UUIDField(source="report_id", allow_null=True, help_text="that found it last")
    first_report = serializers.UUIDField(source="first_report_id", allow_null=True, help_text="that raised it")
    group = serializers.UUIDField(source="group_key", allow_null=True, help_text="began together with it")
    count = serializers.IntegerField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    assignee = serializers.CharField(allow_null=True)
    escalates_at = serializers.DateTimeField(allow_null=True, help_text="unless it is acknowledged before")
    escalations = serializers.IntegerField()
    escalated_to = serializers.CharField(help_text="the role that was told last")
    clean_reports = serializers.IntegerField(help_text="scheduled reports in a row that did not find it")
    acknowledged_by = serializers.CharField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    resolved_by = serializers.CharField(allow_null=True, help_text="null: by itself")
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolved_report = serializers.UUIDField(source="resolved_report_id", allow_null=True)
    comment = serializers.CharField()
    silenced_until = serializers.DateTimeField(allow_null=True)


class HappenedAnswer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    deed = serializers.CharField()
    by = serializers.CharField()
    said = serializers.CharField()


class GroupedAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    rule = serializers.CharField()
    subject = serializers.CharField(source="subject_key")
    severity = serializers.CharField()
    status = serializers.CharField()
    summary = serializers.CharField()


class ToldAnswer(serializers.Serializer[Any]):
    channel = serializers.CharField()
    event = serializers.CharField()
    state = serializers.CharField()
    attempts = serializers.IntegerField()
    error = serializers.CharField()
    delivered_at = serializers.DateTimeField(allow_null=True)


class AlertDetailAnswer(AlertAnswer):
    """One alert with what comes of it."""

    next = serializers.ListField(child=serializers.CharField(), help_text="what happens to it, in sentences")
    runbook = serializers.CharField(help_text="an https address, or empty")
    grouped = GroupedAnswer(many=True)
    earlier = serializers.UUIDField(allow_null=True, help_text="the last one on the same, which was over before")
    history = HappenedAnswer(many=True)
    deliveries = ToldAnswer(many=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {
            **AlertAnswer(instance.alert).data,
            "next": instance.next,
            "runbook": instance.rule.runbook,
            "grouped": GroupedAnswer(instance.grouped, many=True).data,
            "earlier": str(instance.earlier.pk) if instance.earlier else None,
            "history": HappenedAnswer(instance.history, many=True).data,
            "deliveries": ToldAnswer(instance.deliveries, many=True).data,
        }


class CountAnswer(serializers.Serializer[Any]):
    severity = serializers.CharField()
    open = serializers.IntegerField()
    acknowledged = serializers.IntegerField()


class SpanFilter(StrictSerializer):
    """The last 24h, 7d or 30d (30d if left out), or from and to."""

    window = TextField(max_length=10, required=False)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": MomentField(required=False), "to": MomentField(required=False)}


class SpanAnswer(serializers.Serializer[Any]):
    """An alert as a bar on a line of time: from the first finding to its end, null while it lasts."""

    id = serializers.UUIDField()
    rule = serializers.CharField()
    subject = serializers.CharField(source="subject_key")
    severity = serializers.CharField()
    status = serializers.CharField()
    summary = serializers.CharField()
    group = serializers.UUIDField(source="group_key", allow_null=True)
    count = serializers.IntegerField()
    first_seen_at = serializers.DateTimeField()
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    last_seen_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
