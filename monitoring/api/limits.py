"""What the data of a model is held to: validate, call one service or selector, serialise."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.serializers import StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Actor
from monitoring import services
from monitoring.models import QualityLimit
from monitoring.selectors.dashboard import version_shown
from monitoring.selectors.limits import Limits, limits_of
from monitoring.stats.limits import PARTS
from registry import selectors as registry
from registry.api.views import valid
from registry.models import Version

_PARTS = "; ".join(f"{check}: {', '.join(parts) or 'only off'}" for check, parts in PARTS.items())


class LimitFilter(StrictSerializer):
    version = TextField(max_length=40, required=False, default="", help_text="left out, the one in production")


class EditFields(StrictSerializer):
    feature = TextField(max_length=128, trim_whitespace=False)
    check = TextField(max_length=20)
    limit = serializers.JSONField(
        allow_null=True, help_text=f"parts that hold instead of the derived ones ({_PARTS}), {{off: true}}, or null"
    )


class LimitFields(StrictSerializer):
    reason = TextField(max_length=500)
    edits = serializers.ListField(child=EditFields(), min_length=1, max_length=200)


class LimitAnswer(serializers.Serializer[Any]):
    """`effective` is `derived` with the parts of `set` over it, or {"off": true}. `by_rows`: judged on a sample of the
    window's rows, in reports alone."""

    feature = serializers.CharField()
    check = serializers.ChoiceField(list(PARTS))
    derived = serializers.DictField()
    set = serializers.DictField(allow_null=True)
    effective = serializers.DictField()
    reference_share = serializers.FloatField(allow_null=True)
    by_rows = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True)
    set_by = serializers.CharField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)


class LimitsAnswer(serializers.Serializer[Any]):
    """`absent` are limits that were set for the model and that this version has no use for; `note` says why there are
    none, or what is not checked."""

    model = serializers.CharField()
    version = serializers.CharField()
    note = serializers.CharField()
    limits = LimitAnswer(many=True)
    absent = serializers.ListField(child=serializers.DictField())


class QualityLimits(ApiView):
    @extend_schema(parameters=[LimitFilter], responses=LimitsAnswer)
    def get(self, request: Request, model: str) -> Response:
        """What the data of a version is held to: derived from its reference, and set by people."""
        return Response(answer(limits_of(_version(self.actor, model, request))))

    @extend_schema(parameters=[LimitFilter], request=LimitFields, responses=LimitsAnswer)
    def put(self, request: Request, model: str) -> Response:
        """Set some limits, or give them back (`limit` null), for the model: they hold for each version that has the
        feature. What is left out stays."""
        version, asked = _version(self.actor, model, request), valid(LimitFields(data=request.data))
        services.set_quality_limits(version, actor=self.actor, **asked)
        return Response(answer(limits_of(version)))


def _version(actor: Actor, model: str, request: Request) -> Version:
    asked = valid(LimitFilter(data=request.query_params.dict()))
    version = version_shown(registry.model_named(actor, model), asked["version"])
    if version is None:
        raise NotFound(f"{model} has no version yet", code="unknown_version")
    return version


def answer(found: Limits) -> dict[str, Any]:
    """The fields of the REST contract."""
    return {
        "model": found.version.model.name,
        "version": found.version.number,
        "note": found.note,
        "limits": [
            {
                "feature": row.limit.feature,
                "check": row.limit.check,
                "derived": row.limit.derived,
                "set": row.limit.edit,
                "effective": row.limit.effective,
                "reference_share": row.limit.reference_share,
                "by_rows": row.limit.needs_rows,
                **_said(row.set),
            }
            for row in found.rows
        ],
        "absent": [
            {"feature": row.feature, "check": row.check_name, "set": row.said, **_said(row)} for row in found.absent
        ],
    }


def _said(row: QualityLimit | None) -> dict[str, Any]:
    if row is None:
        return {"reason": None, "set_by": None, "updated_at": None}
    return {"reason": row.reason, "set_by": row.set_by.username, "updated_at": row.updated_at}
