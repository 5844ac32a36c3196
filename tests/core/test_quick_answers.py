"""QuickAnswer answers what DRF's own serializers answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework import serializers

from mlops_site.core.api.serializers import QuickAnswer

NOON = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
ROW = {
    "name": "a",
    "count": 3,
    "owner": SimpleNamespace(username="ada"),
    "at": NOON,
    "body": {"x": [1]},
    "closed": None,
}


class Fields(serializers.Serializer[Any]):
    name = serializers.CharField()
    count = serializers.IntegerField(default=0)
    share = serializers.FloatField(default=0.5)
    kind = serializers.ChoiceField(choices=["a", "b"], default="a")
    owner = serializers.CharField(source="owner.username")
    closer = serializers.CharField(source="closed.username", default=None, allow_null=True)
    at = serializers.DateTimeField()
    body = serializers.JSONField()
    said = serializers.SerializerMethodField()
    left_out = serializers.CharField(required=False)

    def get_said(self, row: Any) -> str:
        return "hello"


class Quick(QuickAnswer, Fields):
    pass


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": 7},
        {"name": None, "at": None, "body": None, "count": None},
        {"at": NOON.astimezone(timezone(timedelta(hours=2)))},
        {"at": NOON.replace(microsecond=0), "count": "3", "share": 1, "kind": "b", "left_out": "in"},
        {"closed": SimpleNamespace(username="ben"), "body": [None, True]},
    ],
)
def test_it_answers_what_drf_answers(changes: dict[str, Any]) -> None:
    row = SimpleNamespace(**{**ROW, **changes})
    assert Quick(row).data == Fields(row).data
    assert list(Quick([row, row], many=True).data) == list(Fields([row, row], many=True).data)


def test_what_is_not_there_and_has_no_default_is_refused() -> None:
    with pytest.raises(AttributeError, match="name"):
        Quick(SimpleNamespace()).data  # noqa: B018
