"""What the endpoints around a review answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class TrialSide(serializers.Serializer[Any]):
    version = serializers.CharField()
    answers = serializers.ListField(child=serializers.DictField(), help_text="prediction, score and decision by row")
    note = serializers.CharField(help_text="why there are no answers")


class TrialAnswer(serializers.Serializer[Any]):
    """`production` is null while nothing serves."""

    candidate = TrialSide()
    production = TrialSide(allow_null=True)


class ConditionAnswer(serializers.Serializer[Any]):
    """What an approval was given under."""

    id = serializers.IntegerField()
    model = serializers.CharField(source="request.model.name")
    version = serializers.CharField(source="request.version.number")
    request = serializers.IntegerField(source="request_id")
    condition = serializers.CharField()
    revalidate_on = serializers.DateField()
    overdue = serializers.BooleanField(source="is_overdue")
    by = serializers.CharField(source="reviewer.username")
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(source="closing.created_at", default=None, allow_null=True)
    closed_by = serializers.CharField(source="closing.by.username", default=None, allow_null=True)
    note = serializers.CharField(source="closing.note", default="")


class DelegationAnswer(serializers.Serializer[Any]):
    """While `person` is away, what waits for them is shown and told to `delegate`."""

    id = serializers.IntegerField()
    team = serializers.CharField(source="team.name")
    person = serializers.CharField(source="person.username")
    delegate = serializers.CharField(source="delegate.username")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="taken back before its end")
