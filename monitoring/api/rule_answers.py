"""What the endpoints of alert rules and silences take and answer. Ranges and names are the service's to check."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.serializers import Comment, MomentField, StrictSerializer, TextField
from monitoring.selectors.rules import RuleInForce
from registry.api.serializers import PageFilter


class SilenceFilter(PageFilter):
    status = TextField(max_length=20, required=False, allow_blank=True, help_text="active, past or all")
    model = TextField(max_length=63, required=False, allow_blank=True)


class SilenceFields(StrictSerializer):
    model = TextField(max_length=63)
    rule = TextField(max_length=20, required=False, allow_blank=True, help_text="every kind if left out")
    subject = TextField(
        max_length=128,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="a feature or metric; empty: the whole model; left out: every one",
    )
    hours = serializers.IntegerField(help_text="1 to 720")
    starts_at = MomentField(required=False, help_text="now if left out")
    reason = TextField()


class SilenceAnswer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    model = serializers.CharField(source="model.name")
    rule = serializers.CharField(help_text="empty: every kind")
    subject = serializers.SerializerMethodField()
    reason = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True)
    ended_by = serializers.CharField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True, help_text="if it was ended before its time")

    def get_subject(self, row: Any) -> str | None:
        return None if row.every_subject else row.subject_key


class RulesFields(Comment):
    """`rules` by kind; a field that is null takes its default again, and what is left out stays."""

    rules = serializers.DictField(child=serializers.DictField(), allow_empty=False)


class DropFilter(StrictSerializer):
    comment = TextField(required=False, allow_blank=True, default="")


class RuleAnswer(serializers.Serializer[Any]):
    """One kind of alert. Fields that do not apply to it are left out."""

    rule = serializers.CharField()
    own = serializers.ListField(child=serializers.CharField(), help_text="the fields that somebody has set")
    set_by = serializers.CharField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)
    enabled = serializers.BooleanField(required=False)
    severity = serializers.CharField()
    threshold = serializers.FloatField(required=False)
    metric = serializers.CharField(required=False, help_text="empty: the one that the model is judged by")
    persistence = serializers.ListField(
        child=serializers.IntegerField(), allow_null=True, required=False, help_text="k of the last m scheduled reports"
    )
    subjects = serializers.ListField(child=serializers.CharField(), required=False, help_text="empty: all")
    resolve_after = serializers.IntegerField(required=False, help_text="clean scheduled reports; 0: never by itself")
    escalation = serializers.ListField(child=serializers.DictField(), help_text="steps of after, severity and role")
    runbook = serializers.CharField()
    no_data = serializers.CharField(required=False)
    no_data_after = serializers.CharField(required=False)

    def to_representation(self, instance: RuleInForce) -> dict[str, Any]:
        own = instance.own
        about = (
            {"own": sorted(own.overrides), "set_by": own.set_by.username, "updated_at": own.updated_at} if own else {}
        )
        return {"rule": instance.rule.value, "own": [], "set_by": None, "updated_at": None, **about, **instance.said}


class RuleChangeAnswer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    by = serializers.CharField(source="actor")
    rule = serializers.CharField()
    before = serializers.DictField()
    after = serializers.DictField()
    comment = serializers.CharField()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {"at": instance.at, "by": instance.actor, **instance.data}


class RulesAnswer(serializers.Serializer[Any]):
    """Of (rules, the last changes)."""

    rules = RuleAnswer(many=True)
    history = RuleChangeAnswer(many=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        rules, rows = instance
        answered = RuleAnswer(rules, many=True).data
        return {"rules": answered, "history": RuleChangeAnswer(rows, many=True).data}
