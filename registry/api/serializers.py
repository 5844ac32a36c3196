"""What the endpoints of the registry take. Names, ranges and states are the services' to check."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.parsers import load_json
from mlops_site.core.api.serializers import FiniteField, StrictSerializer, TextField
from mlops_site.core.errors import StewardError

MAX_METADATA = 8 * 2**20  # characters
MAX_REFERENCE_ROWS = 10_000


class PageFilter(StrictSerializer):
    page = TextField(max_length=20, required=False)
    page_size = TextField(max_length=20, required=False)


class _Found(PageFilter):
    """What a search takes; `tag` is key=value or a key, and may be given several times."""

    search = TextField(max_length=200, required=False, allow_blank=True)
    stage = TextField(max_length=20, required=False, allow_blank=True)
    team = TextField(max_length=63, required=False, allow_blank=True)
    tag = serializers.ListField(child=TextField(allow_blank=True), required=False, max_length=5)
    risk_tier = TextField(max_length=20, required=False, allow_blank=True)
    owner = TextField(max_length=150, required=False, allow_blank=True)
    task_type = TextField(max_length=20, required=False, allow_blank=True)
    archived = TextField(max_length=10, required=False)
    facets = serializers.BooleanField(required=False, default=False)


class ModelFilter(_Found):
    ordering = TextField(max_length=40, required=False)


class VersionFilter(_Found):
    model = TextField(max_length=63, required=False, allow_blank=True)
    alias = TextField(max_length=63, required=False, allow_blank=True)
    deprecated = serializers.BooleanField(required=False, allow_null=True)  # not asked: both


def filters(asked: dict[str, Any]) -> dict[str, Any]:
    """Of what was asked, what a selector takes."""
    return {name: value for name, value in asked.items() if name not in ("page", "page_size", "facets")}


class ApprovalFilter(PageFilter):
    status = TextField(max_length=20, required=False, allow_blank=True)
    model = TextField(max_length=63, required=False)
    waiting_for_me = serializers.BooleanField(required=False)


class CompareFilter(StrictSerializer):
    diff_only = serializers.BooleanField(required=False, default=False)


class SchemaFilter(StrictSerializer):
    version = TextField(max_length=40, required=False)


class ModelNew(StrictSerializer):
    name = TextField(max_length=63)
    task_type = TextField(max_length=20)
    description = TextField(required=False, allow_blank=True)
    risk_tier = TextField(max_length=20, required=False)
    team = TextField(max_length=63, required=False)
    auto_deploy = TextField(max_length=20, required=False)


class ModelEdit(StrictSerializer):
    """What is left out stays. `auto_deploy` sets a new deploy policy, with its `reason`."""

    description = TextField(required=False, allow_blank=True)
    owner = TextField(max_length=150, required=False)
    risk_tier = TextField(max_length=20, required=False)
    auto_deploy = TextField(max_length=20, required=False)
    reason = TextField(required=False, allow_blank=True)


class Metadata(StrictSerializer):
    """What goes with an uploaded artifact. `reference` are rows of the training data: its profile is kept."""

    metrics = serializers.DictField(required=False)
    params = serializers.DictField(required=False)
    signature = serializers.DictField(required=False)
    tags = serializers.DictField(child=TextField(), required=False)
    reference = serializers.ListField(
        child=serializers.DictField(), required=False, min_length=1, max_length=MAX_REFERENCE_ROWS
    )
    threshold = FiniteField(required=False)


class VersionUpload(StrictSerializer):
    """A multipart form: the file, and its metadata as a JSON text."""

    artifact = serializers.FileField(allow_empty_file=True, max_length=255)
    metadata = serializers.CharField(max_length=MAX_METADATA, required=False, default="{}")
    version = TextField(max_length=40, required=False)

    def validate_metadata(self, text: str) -> dict[str, Any]:
        try:
            value = load_json(text.encode())
        except (StewardError, UnicodeEncodeError) as error:
            raise serializers.ValidationError(f"must be a JSON object: {error}"[:300], code="malformed") from error
        parsed = Metadata(data=value)
        parsed.is_valid(raise_exception=True)
        return dict(parsed.validated_data)


class PromoteOrder(StrictSerializer):
    target_stage = TextField(max_length=20)
    reason = TextField()


class IncidentFilter(PageFilter):
    model = TextField(max_length=63, required=False)
    status = TextField(max_length=20, required=False, allow_blank=True)
    kind = TextField(max_length=30, required=False, allow_blank=True)


class Resolution(StrictSerializer):
    resolution = TextField()


class VersionEdit(StrictSerializer):
    description = TextField(allow_blank=True)


class TagValue(StrictSerializer):
    value = TextField(allow_blank=True, required=False, default="")


class Note(StrictSerializer):
    note = TextField()


class AliasOrder(StrictSerializer):
    version = TextField(max_length=80)


class Roles(StrictSerializer):
    roles = serializers.ListField(child=TextField(max_length=20), max_length=10)


class TransferOrder(StrictSerializer):
    to_team = TextField(max_length=63)
    reason = TextField()


class NewOwner(StrictSerializer):
    owner = TextField(max_length=150)


class Reason(StrictSerializer):
    reason = TextField()
