"""The endpoints around a review: validation reports, conditions, delegations."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from mlops_site.core.downloads import attachment
from mlops_site.core.permissions import Action, team_for
from registry import selectors, services
from registry.api import answers, reviewing_answers, serializers
from registry.api.views import listed, valid


class Reports(ApiView):
    pagination_class = Pages
    parser_classes = (MultiPartParser,)
    file_field = "file"

    @extend_schema(
        operation_id="validation_reports_list",
        parameters=[serializers.PageFilter],
        responses=answers.ValidationReportAnswer(many=True),
    )
    def get(self, request: Request, name: str, version: str) -> Response:
        """The validation reports of a version, in the order in which they were attached."""
        valid(serializers.PageFilter(data=request.query_params.dict()))
        found = selectors.version_numbered(selectors.model_named(self.actor, name), version)
        return listed(self, selectors.reports(found), answers.ValidationReportAnswer)

    @extend_schema(
        request={"multipart/form-data": serializers.ReportUpload}, responses={201: answers.ValidationReportAnswer}
    )
    def post(self, request: Request, name: str, version: str) -> Response:
        """Attach a PDF, Markdown or text file. Approvals that were given before, of a request that waits, are void."""
        found = selectors.version_numbered(selectors.model_named(self.actor, name), version)
        file = valid(serializers.ReportUpload(data=request.data))["file"]
        made = services.attach_report(found, actor=self.actor, name=file.name, content=file)
        return Response(answers.ValidationReportAnswer(made).data, status=status.HTTP_201_CREATED)


class ReportFile(ApiView):
    @extend_schema(
        operation_id="validation_report_retrieve",
        responses={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        """The bytes of a validation report, checked against its digest; a download, never a page."""
        found = selectors.report_numbered(self.actor, pk)
        return attachment(found.digest, name=found.name, media_type=found.media_type)


class Conditions(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.ConditionFilter], responses=reviewing_answers.ConditionAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Open conditions under which versions of your teams were approved, the earliest day first."""
        asked = valid(serializers.ConditionFilter(data=request.query_params.dict()))
        model = selectors.model_named(self.actor, asked["model"]) if "model" in asked else None
        return listed(self, selectors.open_conditions(self.actor, model=model), reviewing_answers.ConditionAnswer)


class CloseCondition(ApiView):
    @extend_schema(request=serializers.ClosingNote, responses=reviewing_answers.ConditionAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Say that a condition is met. For an approver who neither requested nor made the version."""
        asked, found = valid(serializers.ClosingNote(data=request.data)), selectors.condition_numbered(self.actor, pk)
        services.close_condition(found, actor=self.actor, **asked)
        return Response(reviewing_answers.ConditionAnswer(selectors.condition_numbered(self.actor, pk)).data)


class Delegations(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.PageFilter], responses=reviewing_answers.DelegationAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Who stands in for whom, in the teams where you review; latest first."""
        valid(serializers.PageFilter(data=request.query_params.dict()))
        return listed(self, selectors.delegations(self.actor), reviewing_answers.DelegationAnswer)

    @extend_schema(request=serializers.DelegationNew, responses={201: reviewing_answers.DelegationAnswer})
    def post(self, request: Request) -> Response:
        """While you are away: what waits for you is shown and told to somebody of your role. It gives them no right
        that they lack."""
        asked = valid(serializers.DelegationNew(data=request.data))
        team = team_for(self.actor, asked.pop("team", None), Action.PROMOTION_REVIEW)
        made = services.delegate_reviews(actor=self.actor, team=team, **asked)
        return Response(reviewing_answers.DelegationAnswer(made).data, status=status.HTTP_201_CREATED)


class EndDelegation(ApiView):
    @extend_schema(request=None, responses=reviewing_answers.DelegationAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """You are back early."""
        ended = services.end_delegation(selectors.delegation_numbered(self.actor, pk), actor=self.actor)
        return Response(reviewing_answers.DelegationAnswer(ended).data)
