"""Fields that are made once answer each caller alone."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers

from mlops_site.core.api.serializers import StrictSerializer, TextField


class Inner(StrictSerializer):
    name = TextField()


class Plain(StrictSerializer):
    name = TextField(max_length=3)
    tags = serializers.ListField(child=TextField(), required=False, max_length=2)
    facets = serializers.BooleanField(required=False, default=False)

    def validate_name(self, name: str) -> str:
        return name + str(self.initial_data.get("name", ""))


class Nested(StrictSerializer):
    rows = Inner(many=True)


def asked(serializer: Any) -> Any:
    return dict(serializer.validated_data) if serializer.is_valid() else serializer.errors


def test_fields_are_made_once_where_nothing_of_a_request_is_in_them() -> None:
    first, second = Plain(data={"name": "a"}), Plain(data={"name": "b"})
    assert first.fields is second.fields
    assert [asked(each)["name"] for each in (first, second, first)] == ["aa", "bb", "aa"]


@pytest.mark.parametrize("made", [{"partial": True}, {"context": {"actor": "ada"}}, {"instance": object()}])
def test_who_is_told_more_has_fields_of_its_own(made: dict[str, Any]) -> None:
    serializer = Plain(data={}, **made)
    assert serializer.fields is not Plain(data={}).fields
    assert asked(serializer) == ({} if "partial" in made else {"name": ["This field is required."]})


def test_what_was_wrong_once_is_not_wrong_again() -> None:
    """Nor is what one caller left out taken from another."""
    wrong, right, less = Plain(data={"name": "long", "x": 1}), Plain(data={"name": "a", "tags": ["b"]}), Plain(data={})
    assert list(asked(wrong)) == ["x"]
    assert asked(right) == {"name": "aa", "tags": ["b"], "facets": False}
    assert list(asked(less)) == ["name"]
    assert list(asked(Plain(data={"name": "a", "tags": ["b", "c", "d"]}))) == ["tags"]


def test_a_nested_serializer_has_fields_of_its_own() -> None:
    one, two = Nested(data={"rows": [{"name": "a"}]}), Nested(data={"rows": [{"name": "b"}, {"name": "c"}]})
    assert one.fields is not two.fields
    assert asked(one) == {"rows": [{"name": "a"}]}
    assert asked(two) == {"rows": [{"name": "b"}, {"name": "c"}]}
