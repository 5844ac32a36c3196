"""What the endpoints of the registry take. Names, ranges and states are the services' to check."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.parsers import load_json
from mlops_site.core.api.serializers import FiniteField, MomentField, StrictSerializer, TextField
from mlops_site.core.errors import StewardError
from registry.choices import Stage
from registry.selectors.trials import MAX_ROWS

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
    waiting_for = serializers.ChoiceField(
        choices=["me"], required=False, help_text="me: what you may decide and have not, oldest first"
    )
    waiting_for_me = serializers.BooleanField(required=False, help_text="the same as waiting_for=me")


class InventoryFilter(PageFilter):
    search = TextField(max_length=200, required=False, allow_blank=True)
    team = TextField(max_length=63, required=False, allow_blank=True)
    risk_tier = TextField(max_length=20, required=False, allow_blank=True)
    stage = TextField(max_length=20, required=False, allow_blank=True)


class PeriodFilter(StrictSerializer):
    """Days in UTC, both included."""

    to = serializers.DateField()
    team = TextField(max_length=63, required=False, allow_blank=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With `from`, which Python does not let a class name."""
        return {"from": serializers.DateField(), **super().get_fields()}


class CompareFilter(StrictSerializer):
    diff_only = serializers.BooleanField(required=False, default=False)


class CompareManyFilter(StrictSerializer):
    """`versions` are numbers with commas between; one of another model is written `name@1.0.0`."""

    versions = TextField(max_length=1000)
    base = TextField(max_length=120, required=False)
    diff_only = serializers.BooleanField(required=False, default=False)

    def validate_versions(self, text: str) -> list[str]:
        return [part.strip() for part in text.split(",")]


class TrendFilter(StrictSerializer):
    metric = TextField(max_length=80, required=False)


class SchemaFilter(StrictSerializer):
    version = TextField(max_length=40, required=False)


class ModelNew(StrictSerializer):
    name = TextField(max_length=63)
    task_type = TextField(max_length=20)
    description = TextField(required=False, allow_blank=True)
    purpose = TextField(required=False, allow_blank=True)
    risk_tier = TextField(max_length=20, required=False)
    team = TextField(max_length=63, required=False)
    auto_deploy = TextField(max_length=20, required=False)


class ModelEdit(StrictSerializer):
    """What is left out stays. `auto_deploy` sets a new deploy policy, with its `reason`."""

    description = TextField(required=False, allow_blank=True)
    purpose = TextField(required=False, allow_blank=True)
    intended_use = TextField(required=False, allow_blank=True)
    limitations = TextField(required=False, allow_blank=True)
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
    holdout = serializers.ListField(
        child=serializers.DictField(),
        required=False,
        min_length=1,
        max_length=MAX_REFERENCE_ROWS,
        help_text="answers to rows it was not trained on: label, score (two classes) or prediction, maybe row_key",
    )
    threshold = FiniteField(required=False)
    feature_sets = serializers.ListField(
        child=TextField(max_length=80),
        required=False,
        max_length=20,
        help_text="read for features that a caller leaves out",
    )


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
    """For production somebody else reads two answers: what changed, and why it is material. Give `what_changed` with
    `why_material`, or one `reason` that answers both; any other move takes a `reason`."""

    target_stage = TextField(max_length=20)
    reason = TextField(required=False, help_text="why; for production: what changed and why it is material, in one")
    what_changed = TextField(required=False, help_text="in place of reason, with why_material")
    why_material = TextField(required=False, help_text="goes with what_changed")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in ("what_changed", "why_material") if name in attrs]
        if not given and "reason" not in attrs:
            raise serializers.ValidationError({"reason": "This field is required."}, code="required")
        if given and "reason" in attrs:
            raise serializers.ValidationError({"reason": f"give reason, or {' and '.join(given)}, not both"})
        if len(given) == 1:
            missing = "why_material" if given == ["what_changed"] else "what_changed"
            raise serializers.ValidationError({missing: f"{given[0]} goes with {missing}"}, code="required")
        if given and attrs["target_stage"] != Stage.PRODUCTION:
            raise serializers.ValidationError({given[0]: "only a promotion to production takes it; give a reason"})
        if given:
            attrs["reason"] = attrs.pop("what_changed")
        return attrs


class Approve(StrictSerializer):
    """Both of `condition` and `revalidate_on` make it an approval with conditions."""

    comment = TextField(required=False, allow_blank=True, default="")
    condition = TextField(required=False, help_text="what must hold or be done")
    revalidate_on = serializers.DateField(required=False, help_text="the day by which somebody must look again")


class ClosingNote(StrictSerializer):
    note = TextField(help_text="how it was met")


class TrialRows(StrictSerializer):
    rows = serializers.ListField(
        child=serializers.DictField(), min_length=1, max_length=MAX_ROWS, help_text="the features of each claim"
    )


class ReportUpload(StrictSerializer):
    """A multipart form: a PDF, Markdown or plain text file."""

    file = serializers.FileField(allow_empty_file=True, max_length=255)


class ConditionFilter(PageFilter):
    model = TextField(max_length=63, required=False)


class DelegationNew(StrictSerializer):
    delegate = TextField(max_length=150, help_text="somebody of your role in the team")
    starts_at = MomentField()
    ends_at = MomentField()
    reason = TextField(required=False, allow_blank=True, default="")
    team = TextField(max_length=63, required=False, help_text="yours, if you are in one only")


class IncidentFilter(PageFilter):
    model = TextField(max_length=63, required=False)
    status = TextField(max_length=20, required=False, allow_blank=True)
    kind = TextField(max_length=30, required=False, allow_blank=True)
    severity = TextField(max_length=20, required=False, allow_blank=True)


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
