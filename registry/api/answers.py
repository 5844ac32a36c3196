"""What the endpoints of the registry answer: the fields of the REST contract, from models and selectors."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.serializers import QuickAnswer, instant
from mlops_site.core.permissions import Actor
from registry import selectors
from registry.choices import Stage
from registry.models import Incident, PromotionRequest, RegisteredModel, Remark, Transfer, Version
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
    names = ModelAnswer.Meta.fields
    places = [(name, selectors.ModelLine._fields.index(name)) for name in names]
    return [{name: instant(line[place]) for name, place in places} for line in lines]


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


class ConsumerAnswer(serializers.Serializer[Any]):
    """A token that predicted or logged with the model in the last 30 days."""

    token = serializers.CharField(help_text="its prefix")
    holder = serializers.CharField()
    last_used_on = serializers.DateField()


class IncidentAnswer(serializers.ModelSerializer[Incident]):
    """What went wrong with a version; `closed_at` is null while nobody has said how it ended."""

    model = serializers.CharField(source="model.name")
    version = serializers.CharField(source="version.number")
    status = serializers.ChoiceField(choices=["open", "closed"])
    opened_by = serializers.CharField(source="opened_by.username", default=None, allow_null=True)
    closed_by = serializers.CharField(source="closed_by.username", default=None, allow_null=True)

    class Meta:
        model = Incident
        fields: tuple[str, ...] = (
            "id", "model", "version", "kind", "status", "what", "opened_at", "opened_by", "closed_at", "closed_by",
            "resolution",
        )  # fmt: skip


class AliasAnswer(serializers.Serializer[Any]):
    """An alias; `version` is null of one that is protected and names none. No roles: whoever sets aliases moves it."""

    alias = serializers.CharField(source="name")
    version = serializers.CharField(source="alias.version.number", default=None, allow_null=True)
    set_by = serializers.CharField(source="alias.set_by.username", default=None, allow_null=True)
    set_at = serializers.DateTimeField(source="alias.set_at", default=None, allow_null=True)
    protected_to = serializers.ListField(source="roles", child=serializers.CharField())


class TransferAnswer(serializers.ModelSerializer[Transfer]):
    model = serializers.CharField(source="model.name")
    from_team = serializers.CharField(source="from_team.name")
    to_team = serializers.CharField(source="to_team.name")
    asked_by = serializers.CharField(source="asked_by.username")
    decided_by = serializers.CharField(source="decided_by.username", default=None, allow_null=True)

    class Meta:
        model = Transfer
        fields: tuple[str, ...] = (
            "id", "model", "from_team", "to_team", "status", "reason", "asked_by", "asked_at", "decided_by",
            "decided_at", "comment",
        )  # fmt: skip


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
        now = selectors.version_serving(model)
        return None if now is None else dict(VersionAnswer(now).data)

    def get_open_requests(self, model: RegisteredModel) -> list[dict[str, Any]]:
        rows = selectors.open_requests(model)
        return [dict(row) for row in RequestAnswer(rows, many=True, context=self.context).data]

    def get_auto_deploy(self, model: RegisteredModel) -> dict[str, Any] | None:
        now = selectors.policy(model)
        if now is None:
            return None
        return {"reach": now.reach, "set_by": now.set_by.username, "reason": now.reason, "created_at": now.created_at}
