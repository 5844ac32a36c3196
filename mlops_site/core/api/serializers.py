"""Serializers that refuse what they do not know."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import SkipField
from rest_framework.utils.serializer_helpers import BindingDict

from mlops_site.core.texts import unseen

MAX_TEXT = 2000


class StrictSerializer(serializers.Serializer[Any]):
    """Unknown fields are refused by name instead of being dropped."""

    @functools.cached_property
    def fields(self) -> BindingDict:
        """Made once for all that is asked in the same way: making fields takes longer than reading a query with them.
        A nested serializer holds what it was given, so whoever has one makes its fields anew."""
        is_plain = self.parent is None and self.instance is None and not self.partial and not self._context
        return (_fields_of(type(self)) if is_plain else None) or super().fields

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


@functools.cache
def _fields_of(kind: type[StrictSerializer]) -> BindingDict | None:
    owner = kind()
    found = BindingDict(owner)
    for name, field in owner.get_fields().items():
        found[name] = field
    holds = any(isinstance(field, serializers.BaseSerializer) for field in found.values())
    return None if holds else found


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


class RejectionAnswer(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    code = serializers.CharField()
    field = serializers.CharField()
    message = serializers.CharField()


class IngestedAnswer(serializers.Serializer[Any]):
    """The three add up to the rows that were sent."""

    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = RejectionAnswer(many=True)


class QuickAnswer(serializers.Serializer[Any]):
    """Answers what DRF would, reading plain columns straight from the object: in a list of a hundred, what DRF asks
    of each field of each row takes as long as the database does."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, method, read in _reads(type(self)):
            with suppress(SkipField):
                found[name] = getattr(self, method)(instance) if method else read(instance)
        return found


@functools.cache
def _reads(kind: type[QuickAnswer]) -> list[tuple[str, str, Callable[[Any], Any]]]:
    """Name, method and reader of each field: made once, of a serializer without context, for making fields takes
    longer than reading them. The methods are those of the serializer that answers, with its context."""
    return [(str(field.field_name), _method(field), _reader(field)) for field in kind()._readable_fields]


def _method(field: Any) -> str:
    return str(field.method_name) if type(field) is serializers.SerializerMethodField else ""


def _reader(field: Any) -> Callable[[Any], Any]:
    """What reads one field of an object."""
    if type(field) not in _AS_THEY_ARE:
        return functools.partial(_as_drf_does, field)
    get = attrgetter(".".join(field.source_attrs))
    wanted = _AS_THEY_ARE[type(field)]

    def read(instance: Any) -> Any:
        try:
            value = get(instance)
        except AttributeError:
            return _as_drf_does(field, instance)
        if type(value) is datetime and value.tzinfo is UTC:
            return instant(value)
        return value if value is None or type(value) in wanted else _as_drf_does(field, instance)

    return read


def instant(value: Any) -> Any:
    """A time in UTC as DRF writes it; anything else as it is."""
    return value.isoformat()[:-6] + "Z" if type(value) is datetime else value


def _as_drf_does(field: Any, instance: Any) -> Any:
    value = field.get_attribute(instance)
    return None if value is None else field.to_representation(value)


# by the very class: another that inherits from it may answer something else
_AS_THEY_ARE: dict[type, tuple[type, ...]] = {
    serializers.CharField: (str,),
    serializers.ChoiceField: (str,),
    serializers.IntegerField: (int,),
    serializers.FloatField: (float,),
    serializers.JSONField: (dict, list, str, int, float, bool),
    serializers.DateTimeField: (),
}
