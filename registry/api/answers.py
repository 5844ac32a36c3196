"""What the endpoints of the registry answer: the fields of the REST contract, from models and selectors."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from rest_framework import serializers

from mlops_site.core.api.serializers import QuickAnswer, instant
from mlops_site.core.permissions import Actor
from registry import selectors
from registry.choices import Stage
from registry.models import PromotionRequest, RegisteredModel, Remark, Version
from registry.selectors.models import aliases_of, stages_of
from registry.selectors.search import tags_of
from registry.selectors.versions import aliases_of_version


class ModelAnswer(QuickAnswer, serializers.ModelSerializer[RegisteredModel]):
    team = serializers.CharField(source="team.name")
    owner = serializers.CharField(source="owner.username")
    stages = serializers.SerializerMethodField(help_text="stage -> its newest version")
    aliases = serializers.SerializerMethodField(help_text="alias -> its version")
    tags = serializers.SerializerMethodField()
    version_count = serializers.IntegerField(default=0)

    class Meta:
        model = RegisteredModel
        fields: tuple[str, ...] = (
            "name", "description", "purpose", "intended_use", "limitations", "team", "owner", "task_type", "risk_tier",
            "stages", "aliases", "tags", "version_count", "created_at", "updated_at", "archived_at",
        )  # fmt: skip

    def get_aliases(self, model: RegisteredModel) -> dict[str, str]:
        return aliases_of(model)

    def get_tags(self, model: RegisteredModel) -> dict[str, str]:
        return tags_of(model)

    def get_stages(self, model: RegisteredModel) -> dict[str, str]:
        return stages_of(model)


def model_lines(lines: list[selectors.ModelLine]) -> list[dict[str, Any]]:
    """What ModelAnswer would answer of the same models."""
    answers = [dict(zip(_NAMES, _of_line(line), strict=True)) for line in lines]
    for answer in answers:
        answer.update({name: instant(answer[name]) for name in _TIMES})
    return answers


_NAMES, _TIMES = ModelAnswer.Meta.fields, ("created_at", "updated_at", "archived_at")
_of_line = attrgetter(*_NAMES)


class ArtifactAnswer(QuickAnswer):
    digest = serializers.CharField()
    format = serializers.CharField()
    size = serializers.IntegerField(help_text="bytes")


class IntervalAnswer(QuickAnswer):
    """One stage of a version's life; `to` is null while it lasts."""

    stage = serializers.CharField()
    to = serializers.DateTimeField(source="ended_at", allow_null=True)
    by = serializers.CharField(source="by.username", default=None, allow_null=True)
    reason = serializers.CharField()
    cause = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With `from`, which Python does not let a class name."""
        return {**super().get_fields(), "from": serializers.DateTimeField(source="started_at")}


class VersionLine(QuickAnswer, serializers.ModelSerializer[Version]):
    """A version in a list."""

    name = serializers.CharField(source="model.name")
    version = serializers.CharField(source="number")
    stage = serializers.ChoiceField(choices=Stage.choices)
    artifact = ArtifactAnswer()
    created_by = serializers.CharField(source="created_by.username")
    trained_by = serializers.CharField(source="trained_by.username")
    description = serializers.CharField(source="remark.description", default="")
    tags = serializers.SerializerMethodField(help_text="as they are now")
    aliases = serializers.SerializerMethodField()
    deprecated = serializers.SerializerMethodField(help_text="since when, by whom and why; null if it is not")
    mlflow = serializers.SerializerMethodField(help_text="run_id, url and the number there, once MLflow has it")

    class Meta:
        model = Version
        fields: tuple[str, ...] = (
            "name", "version", "stage", "description", "aliases", "tags", "deprecated", "artifact", "metrics", "params",
            "threshold", "lineage", "mlflow", "created_by", "trained_by", "created_at",
        )  # fmt: skip

    def get_tags(self, version: Version) -> dict[str, str]:
        return tags_of(version)

    def get_aliases(self, version: Version) -> list[str]:
        return aliases_of_version(version)

    def get_deprecated(self, version: Version) -> dict[str, Any] | None:
        remark: Remark | None = getattr(version, "remark", None)
        if remark is None or remark.deprecated_at is None or remark.deprecated_by is None:
            return None
        return {"at": remark.deprecated_at, "by": remark.deprecated_by.username, "note": remark.deprecation}

    def get_mlflow(self, version: Version) -> dict[str, Any]:
        return selectors.in_mlflow(version)


class VersionAnswer(VersionLine):
    """One version with everything but its bytes."""

    serving = ArtifactAnswer(allow_null=True, help_text="the ONNX form that serves, where it is exact")
    intervals = serializers.SerializerMethodField()

    class Meta(VersionLine.Meta):
        fields = (*VersionLine.Meta.fields, "signature", "data_digest", "importance", "serving", "intervals")

    def get_intervals(self, version: Version) -> list[dict[str, Any]]:
        return [dict(row) for row in IntervalAnswer(selectors.life(version), many=True).data]


class ReviewAnswer(serializers.Serializer[Any]):
    reviewer = serializers.CharField(source="reviewer.username")
    role = serializers.CharField()
    decision = serializers.CharField()
    comment = serializers.CharField()
    condition = serializers.CharField()
    revalidate_on = serializers.DateField(allow_null=True)
    reports_seen = serializers.IntegerField(help_text="validation reports that were there when it was given")
    created_at = serializers.DateTimeField()
    voided_at = serializers.DateTimeField(allow_null=True, help_text="since when it counts no more")
    void_reason = serializers.CharField()


class ValidationReportAnswer(serializers.Serializer[Any]):
    """A validation report; its bytes are at /api/v1/validation-reports/{id}."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    media_type = serializers.CharField()
    digest = serializers.CharField()
    size = serializers.IntegerField(help_text="bytes")
    by = serializers.CharField(source="by.username")
    created_at = serializers.DateTimeField()


class RequestAnswer(QuickAnswer, serializers.ModelSerializer[PromotionRequest]):
    """A promotion request; `may_decide` is about the one who asks, and needs the actor in the context."""

    model = serializers.CharField(source="model.name")
    version = serializers.CharField(source="version.number")
    risk_tier = serializers.CharField(source="model.risk_tier")
    requester = serializers.CharField(source="requester.username")
    author = serializers.CharField(source="author.username")
    trainer = serializers.CharField(source="trainer.username")
    closed_by = serializers.CharField(source="closed_by.username", default=None, allow_null=True)
    reviews = ReviewAnswer(many=True)
    warnings = serializers.SerializerMethodField(help_text="what callers would notice, and who they are")
    reports = ValidationReportAnswer(source="version.reports", many=True)
    diff = serializers.SerializerMethodField(help_text="against production when it was filed; only what differs")
    may_decide = serializers.SerializerMethodField()

    class Meta:
        model = PromotionRequest
        fields: tuple[str, ...] = (
            "id", "model", "version", "status", "risk_tier", "reason", "why_material", "requester", "author", "trainer",
            "evidence", "evidence_digest", "artifact_digest", "reviews", "reports", "diff", "warnings", "may_decide",
            "created_at", "expires_at", "closed_at", "closed_by",
        )  # fmt: skip

    def get_warnings(self, request: PromotionRequest) -> list[str]:
        return selectors.interface_warnings(request.evidence.get("signature_change"))

    def get_diff(self, request: PromotionRequest) -> dict[str, Any] | None:
        found = selectors.diff(request)
        return None if found is None else found._asdict()

    def get_may_decide(self, request: PromotionRequest) -> dict[str, Any]:
        actor: Actor = self.context["actor"]
        return selectors.decidable(request, actor)._asdict()


class PromotionAnswer(serializers.Serializer[Any]):
    """`promoted`, or `pending_approval` with the request that people have to decide."""

    status = serializers.ChoiceField(choices=["promoted", "pending_approval"])
    version = serializers.CharField(source="version.number")
    stage = serializers.CharField()
    request = RequestAnswer(allow_null=True)
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="what callers would notice once it is in production, and who they are"
    )


class SkippedAnswer(serializers.Serializer[Any]):
    version = serializers.CharField(source="version.number")
    why = serializers.CharField()


class RollbackAnswer(serializers.Serializer[Any]):
    version = serializers.CharField(source="version.number", help_text="the version that serves again")
    replaced = serializers.CharField(source="replaced.number", help_text="the version it replaced, now in staging")
    incident = serializers.IntegerField(source="incident.pk", help_text="the incident that was opened")
    skipped = SkippedAnswer(many=True, help_text="versions passed over because they could not serve")


class ModelDetailAnswer(ModelAnswer):
    """One model with what serves, what waits for people, and how far candidates go by themselves."""

    production = serializers.SerializerMethodField()
    open_requests = serializers.SerializerMethodField()
    auto_deploy = serializers.SerializerMethodField()

    class Meta(ModelAnswer.Meta):
        fields = (*ModelAnswer.Meta.fields, "production", "open_requests", "auto_deploy")

    def get_production(self, model: RegisteredModel) -> dict[str, Any] | None:
        now = selectors.version_serving(model)
        return None if now is None else dict(VersionAnswer(now).data)

    def get_open_requests(self, model: RegisteredModel) -> list[dict[str, Any]]:
        rows = selectors.open_requests(model) if getattr(model, "has_open_requests", True) else []
        return [dict(row) for row in RequestAnswer(rows, many=True, context=self.context).data]

    def get_auto_deploy(self, model: RegisteredModel) -> dict[str, Any] | None:
        now = selectors.policy(model)
        if now is None:
            return None
        return {"reach": now.reach, "set_by": now.set_by.username, "reason": now.reason, "created_at": now.created_at}
