"""What the endpoints of the registry answer: the fields of the REST contract, from models and selectors."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.serializers import QuickAnswer
from mlops_site.core.permissions import Actor
from registry import selectors
from registry.choices import Stage
from registry.models import PromotionRequest, RegisteredModel, Version
from registry.selectors.models import stages_of


class ModelAnswer(QuickAnswer, serializers.ModelSerializer[RegisteredModel]):
    team = serializers.CharField(source="team.name")
    owner = serializers.CharField(source="owner.username")
    stages = serializers.SerializerMethodField(help_text="stage -> its newest version")
    version_count = serializers.IntegerField(default=0)

    class Meta:
        model = RegisteredModel
        fields: tuple[str, ...] = (
            "name", "description", "team", "owner", "task_type", "risk_tier", "stages", "version_count", "created_at",
            "updated_at",
        )  # fmt: skip

    def get_stages(self, model: RegisteredModel) -> dict[str, str]:
        return stages_of(model)


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

    class Meta:
        model = Version
        fields: tuple[str, ...] = (
            "name", "version", "stage", "artifact", "metrics", "params", "threshold", "tags", "lineage", "mlflow",
            "created_by", "trained_by", "created_at",
        )  # fmt: skip


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
    may_decide = serializers.SerializerMethodField()

    class Meta:
        model = PromotionRequest
        fields: tuple[str, ...] = (
            "id", "model", "version", "status", "risk_tier", "reason", "requester", "author", "trainer", "evidence",
            "evidence_digest", "artifact_digest", "reviews", "may_decide", "created_at", "closed_at", "closed_by",
        )  # fmt: skip

    def get_may_decide(self, request: PromotionRequest) -> dict[str, Any]:
        actor: Actor = self.context["actor"]
        return selectors.decidable(request, actor)._asdict()


class PromotionAnswer(serializers.Serializer[Any]):
    """`promoted`, or `pending_approval` with the request that people have to decide."""

    status = serializers.ChoiceField(choices=["promoted", "pending_approval"])
    version = serializers.CharField(source="version.number")
    stage = serializers.CharField()
    request = RequestAnswer(allow_null=True)


class RollbackAnswer(serializers.Serializer[Any]):
    version = serializers.CharField(source="version.number", help_text="the version that serves again")
    replaced = serializers.CharField(source="replaced.number", help_text="the version it replaced, now in staging")


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


class ModelDetailAnswer(ModelAnswer):
    """One model with what serves, what waits for people, and how far candidates go by themselves."""

    production = serializers.SerializerMethodField()
    open_requests = serializers.SerializerMethodField()
    auto_deploy = serializers.SerializerMethodField()

    class Meta(ModelAnswer.Meta):
        fields = (*ModelAnswer.Meta.fields, "production", "open_requests", "auto_deploy")

    def get_production(self, model: RegisteredModel) -> dict[str, Any] | None:
        now = selectors.in_production(model)
        return None if now is None else dict(VersionAnswer(selectors.version_numbered(model, now.number)).data)

    def get_open_requests(self, model: RegisteredModel) -> list[dict[str, Any]]:
        rows = selectors.open_requests(model)
        return [dict(row) for row in RequestAnswer(rows, many=True, context=self.context).data]

    def get_auto_deploy(self, model: RegisteredModel) -> dict[str, Any] | None:
        now = selectors.policy(model)
        if now is None:
            return None
        return {"reach": now.reach, "set_by": now.set_by.username, "reason": now.reason, "created_at": now.created_at}
