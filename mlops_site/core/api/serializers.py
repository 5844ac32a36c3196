"""Serializers that refuse what they do not know."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from mlops_site.core.texts import unseen

MAX_TEXT = 2000


class StrictSerializer(serializers.Serializer[Any]):
    """Unknown fields are refused by name instead of being dropped."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = {
                str(name)[:80]: [
                    serializers.ErrorDetail(f"unknown field; known: {', '.join(self.fields)}", "unknown_field")
                ]
                for name in data
                if name not in self.fields
            }
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """Text a person types: bounded, no control characters but new lines and tabs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": MAX_TEXT, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if found := unseen(text):
            message = f"must not contain control characters, seen or unseen, such as {found}"
            raise serializers.ValidationError(message, code="control_character")
        return text


class FiniteField(serializers.FloatField):
    """A number that is neither NaN nor infinite; booleans are not numbers here."""

    def to_internal_value(self, data: Any) -> float:
        try:
            value = super().to_internal_value(data)
        except OverflowError:
            value = math.inf
        if isinstance(data, bool) or not math.isfinite(value):
            raise serializers.ValidationError(f"must be a finite number but got {data!r}"[:200], code="not_finite")
        return value


class MomentField(serializers.DateTimeField):
    """A time with its zone: one without would be taken for UTC, whatever the caller meant."""

    def enforce_timezone(self, value: datetime) -> datetime:
        if timezone.is_naive(value):
            message = "must be a time with its zone, such as 2026-11-24T09:30:00Z"
            raise serializers.ValidationError(message, code="bad_time")
        return super().enforce_timezone(value)


class Comment(StrictSerializer):
    """What somebody says to a decision."""

    comment = TextField(required=False, allow_blank=True, default="")


class JobAnswer(serializers.Serializer[Any]):
    """Where a 202 can be followed."""

    job_id = serializers.UUIDField()
    status_url = serializers.CharField()
