"""The endpoints of the quality gates: what is expected of a data set, what was found, what is waived."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from training import selectors
from training.choices import Stage
from training.models import Expectations, Waiver
from training.selectors import quality as gates
from training.services import check_dataset, infer_expectations, revoke_waiver, set_expectations, waive_check

MAX_NAME = 128
STAGES = ", ".join(Stage.values)


class ExpectationsBody(StrictSerializer):
    document = serializers.DictField(help_text="rows, duplicates, extra_columns, entity, prediction_time, columns")
    comment = TextField(max_length=500)


class InferBody(StrictSerializer):
    version = serializers.IntegerField(min_value=1, max_value=10**9, help_text="of the data set, that passed its gate")
    comment = TextField(max_length=500, required=False, allow_blank=True, default="")


class ExpectationsAnswer(serializers.ModelSerializer[Expectations]):
    dataset = serializers.CharField(source="dataset.name")
    inferred_from = serializers.SerializerMethodField()
    created_by = serializers.CharField(source="created_by.username")

    class Meta:
        model = Expectations
        fields = (
            "dataset", "version", "document", "digest", "inferred_from", "comment", "created_by", "created_at",
        )  # fmt: skip

    def get_inferred_from(self, row: Expectations) -> str | None:
        return None if row.inferred_from is None else str(row.inferred_from)


class WaiverBody(StrictSerializer):
    check = TextField(max_length=40, help_text="its name in a report")
    column = TextField(max_length=MAX_NAME, required=False, allow_blank=True, default="")
    reason = TextField(max_length=500)
    until = serializers.DateField(help_text="the last day, UTC; at most 90 days from today")


class RevokeBody(StrictSerializer):
    reason = TextField(max_length=500)


class WaiverAnswer(serializers.ModelSerializer[Waiver]):
    dataset = serializers.CharField(source="dataset.name")
    check = serializers.CharField(source="check_name")
    column = serializers.CharField(source="about")
    status = serializers.CharField()
    by = serializers.CharField(source="by.username")
    revoked_by = serializers.CharField(source="revoked_by.username", default=None, allow_null=True)

    class Meta:
        model = Waiver
        fields = (
            "id", "dataset", "check", "column", "reason", "until", "status", "by", "created_at", "revoked_at",
            "revoked_by", "revoked_because",
        )  # fmt: skip


class FoundAnswer(serializers.Serializer[Any]):
    """One check of a gate."""

    stage = serializers.CharField(help_text=STAGES)
    name = serializers.CharField()
    column = serializers.CharField(allow_null=True)
    severity = serializers.ChoiceField(["block", "warn"])
    passed = serializers.BooleanField()
    message = serializers.CharField()
    where = serializers.ListField(child=serializers.IntegerField(), help_text="the first failing rows, from 1")
    observed = serializers.JSONField(allow_null=True)
    expected = serializers.JSONField(allow_null=True)
    samples = serializers.ListField(help_text="values at those rows; masked in columns with personal data")
    waiver = serializers.DictField(allow_null=True)
    advice = serializers.CharField(help_text="what to do")


class VerdictAnswer(serializers.Serializer[Any]):
    """What one gate found; `passed` with the waivers that cover it."""

    stage = serializers.CharField(help_text=STAGES)
    judged_at = serializers.DateTimeField()
    expectations = serializers.IntegerField(allow_null=True)
    passed = serializers.BooleanField()
    rows = serializers.IntegerField()
    usable_rows = serializers.IntegerField()
    blocked_by = serializers.ListField(child=serializers.CharField())
    checks = FoundAnswer(many=True)


class ExpectationsOf(ApiView):
    pagination_class = Pages

    @extend_schema(responses=ExpectationsAnswer(many=True))
    def get(self, request: Request, name: str) -> Response:
        """Every version of what is expected of a data set, newest first: the first one holds."""
        pages = Pages()
        rows = pages.paginate_queryset(gates.expectations(gates.dataset_of(self.actor, name)), request, view=self)
        return pages.get_paginated_response(ExpectationsAnswer(rows, many=True).data)

    @extend_schema(request=ExpectationsBody, responses={201: ExpectationsAnswer})
    def post(self, request: Request, name: str) -> Response:
        """The next version of what is expected. Versions of the data that come later are held to it."""
        asked = ExpectationsBody(data=request.data)
        asked.is_valid(raise_exception=True)
        made = set_expectations(gates.dataset_of(self.actor, name), actor=self.actor, **asked.validated_data)
        return Response(ExpectationsAnswer(made).data, status=status.HTTP_201_CREATED)


class Inferred(ApiView):
    @extend_schema(request=InferBody, responses={201: ExpectationsAnswer})
    def post(self, request: Request, name: str) -> Response:
        """Expect of later versions what holds of one that passed its own gate."""
        asked = InferBody(data=request.data)
        asked.is_valid(raise_exception=True)
        version = selectors.dataset_named(self.actor, f"{name}@{asked.validated_data['version']}")
        made = infer_expectations(version, actor=self.actor, comment=asked.validated_data["comment"])
        return Response(ExpectationsAnswer(made).data, status=status.HTTP_201_CREATED)


class Gates(ApiView):
    @extend_schema(responses=VerdictAnswer)
    def get(self, request: Request, name: str, version: int) -> Response:
        """What the gate at ingest says of a version today, under the waivers that hold."""
        found = selectors.dataset_named(self.actor, f"{name}@{version}")
        return Response(VerdictAnswer(gates.verdict_of(found).to_json()).data)

    @extend_schema(request=None, responses=VerdictAnswer)
    def post(self, request: Request, name: str, version: int) -> Response:
        """Put the version through the gate again, by what is expected today."""
        found = selectors.dataset_named(self.actor, f"{name}@{version}")
        check_dataset(found, actor=self.actor)
        return Response(VerdictAnswer(gates.verdict_of(found).to_json()).data)


class GatesOfRun(ApiView):
    @extend_schema(responses=VerdictAnswer(many=True))
    def get(self, request: Request, job_id: UUID) -> Response:
        """What the gates before training and before registration found in a run, with the waivers of then."""
        found = gates.verdicts_of(selectors.run_of(self.actor, job_id))
        return Response(VerdictAnswer([verdict.to_json() for verdict in found], many=True).data)


class Waivers(ApiView):
    pagination_class = Pages

    @extend_schema(responses=WaiverAnswer(many=True))
    def get(self, request: Request, name: str) -> Response:
        """All that was ever waived of a data set, newest first."""
        pages = Pages()
        rows = pages.paginate_queryset(gates.waivers(gates.dataset_of(self.actor, name)), request, view=self)
        return pages.get_paginated_response(WaiverAnswer(rows, many=True).data)

    @extend_schema(request=WaiverBody, responses={201: WaiverAnswer})
    def post(self, request: Request, name: str) -> Response:
        """Let one check fail until a day. A validator or an approver gives it, never who trains."""
        asked = WaiverBody(data=request.data)
        asked.is_valid(raise_exception=True)
        made = waive_check(gates.dataset_of(self.actor, name), actor=self.actor, **asked.validated_data)
        return Response(WaiverAnswer(made).data, status=status.HTTP_201_CREATED)


class Revoke(ApiView):
    @extend_schema(request=RevokeBody, responses=WaiverAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Take a waiver back at once."""
        asked = RevokeBody(data=request.data)
        asked.is_valid(raise_exception=True)
        row = revoke_waiver(gates.waiver_of(self.actor, pk), actor=self.actor, **asked.validated_data)
        return Response(WaiverAnswer(row).data)
