"""What endpoints answer about models beside what they are: aliases, transfers, incidents, consumers, comparisons."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from registry.models import Incident, Transfer


class ConsumerAnswer(serializers.Serializer[Any]):
    """A token that predicted or logged with the model in the last 30 days."""

    token = serializers.CharField(help_text="its prefix")
    holder = serializers.CharField()
    last_used_on = serializers.DateField()


class IncidentAnswer(serializers.ModelSerializer[Incident]):
    """What went wrong with a version; `closed_at` is null while nobody has said how it ended."""

    model = serializers.CharField(source="model.name")
    version = serializers.CharField(source="version.number")
    status = serializers.ChoiceField(choices=["open", "closed"])
    severity = serializers.CharField(help_text="of its kind, as severe as alerts are")
    opened_by = serializers.CharField(source="opened_by.username", default=None, allow_null=True)
    closed_by = serializers.CharField(source="closed_by.username", default=None, allow_null=True)

    class Meta:
        model = Incident
        fields: tuple[str, ...] = (
            "id", "model", "version", "kind", "severity", "status", "what", "opened_at", "opened_by",
            "closed_at", "closed_by", "resolution",
        )  # fmt: skip


class AliasAnswer(serializers.Serializer[Any]):
    """An alias; `version` is null of one that is protected and names none. No roles: whoever sets aliases moves it."""

    alias = serializers.CharField(source="name")
    version = serializers.CharField(source="alias.version.number", default=None, allow_null=True)
    set_by = serializers.CharField(source="alias.set_by.username", default=None, allow_null=True)
    set_at = serializers.DateTimeField(source="alias.set_at", default=None, allow_null=True)
    protected_to = serializers.ListField(source="roles", child=serializers.CharField())


class TransferAnswer(serializers.ModelSerializer[Transfer]):
    model = serializers.CharField(source="model.name")
    from_team = serializers.CharField(source="from_team.name")
    to_team = serializers.CharField(source="to_team.name")
    asked_by = serializers.CharField(source="asked_by.username")
    decided_by = serializers.CharField(source="decided_by.username", default=None, allow_null=True)

    class Meta:
        model = Transfer
        fields: tuple[str, ...] = (
            "id", "model", "from_team", "to_team", "status", "reason", "asked_by", "asked_at", "decided_by",
            "decided_at", "comment",
        )  # fmt: skip


class MetricRow(serializers.Serializer[Any]):
    """`delta` is v2 minus v1 as registered; `shared_delta` is that on the shared holdout rows and `ci95` its paired
    bootstrap interval, or null with a note."""

    name = serializers.CharField()
    v1 = serializers.FloatField(allow_null=True)
    v2 = serializers.FloatField(allow_null=True)
    delta = serializers.FloatField(allow_null=True)
    shared_delta = serializers.FloatField(allow_null=True)
    ci95 = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    better = serializers.ChoiceField(choices=["v1", "v2", "equal"], allow_null=True)
    certain = serializers.BooleanField(allow_null=True, help_text="whether the interval leaves out zero")
    changed = serializers.BooleanField()
    shared_rows = serializers.IntegerField()
    note = serializers.CharField()


class ComparisonAnswer(serializers.Serializer[Any]):
    v1 = serializers.CharField()
    v2 = serializers.CharField()
    metrics = MetricRow(many=True)
    params = serializers.JSONField()
    signature = serializers.JSONField()
    dataset = serializers.JSONField()
    artifact = serializers.JSONField()


class SchemaAnswer(serializers.Serializer[Any]):
    """The JSON Schema of `features`, and a sample that predict accepts."""

    name = serializers.CharField()
    version = serializers.CharField()
    features = serializers.JSONField()
    sample = serializers.JSONField()
