"""The endpoints of promotion requests."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import Comment
from mlops_site.core.api.views import ApiView
from registry import selectors, services
from registry.api import answers, reviewing_answers, serializers
from registry.api.views import listed, valid
from registry.choices import Decision
from registry.models import PromotionRequest


class Approvals(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.ApprovalFilter], responses=answers.RequestAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Promotion requests of your teams, latest first, each with whether you may decide it, and why. With
        `waiting_for=me` those that you may decide and have not, oldest first."""
        asked = valid(serializers.ApprovalFilter(data=request.query_params.dict()))
        model = selectors.model_named(self.actor, asked["model"]) if "model" in asked else None
        waiting, state = asked.get("waiting_for") == "me" or asked.get("waiting_for_me", False), asked.get("status", "")
        rows = selectors.requests(self.actor, status=state, model=model, waiting_for_me=waiting)
        return listed(self, rows, answers.RequestAnswer)


class Approval(ApiView):
    @extend_schema(responses=answers.RequestAnswer)
    def get(self, request: Request, pk: int) -> Response:
        """One request with its evidence and reviews."""
        return _answer(self, selectors.request_numbered(self.actor, pk))


class Approve(ApiView):
    @extend_schema(request=serializers.Approve, responses=answers.RequestAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Approve a request, or approve it with a condition and a day of revalidation. The approval that completes
        the quorum puts the version into production."""
        asked = valid(serializers.Approve(data=request.data))
        has_terms = "condition" in asked or "revalidate_on" in asked
        decision = Decision.APPROVE_WITH_CONDITIONS if has_terms else Decision.APPROVE
        found = selectors.request_numbered(self.actor, pk)
        services.review_request(found, actor=self.actor, decision=decision, **asked)
        return _answer(self, selectors.request_numbered(self.actor, pk))


class Trial(ApiView):
    @extend_schema(request=serializers.TrialRows, responses=reviewing_answers.TrialAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Score your own sample claims on the candidate and on what serves. A dry run: nothing of it is logged."""
        found, asked = selectors.request_numbered(self.actor, pk), valid(serializers.TrialRows(data=request.data))
        return Response(reviewing_answers.TrialAnswer(selectors.trial(found, actor=self.actor, **asked)).data)


class Review(ApiView):
    """One of the other two decisions, set by the address."""

    decision = ""

    @extend_schema(request=Comment, responses=answers.RequestAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Close a request without promoting its version; `comment` says why."""
        asked = valid(Comment(data=request.data))
        found = selectors.request_numbered(self.actor, pk)
        services.review_request(found, actor=self.actor, decision=self.decision, **asked)
        return _answer(self, selectors.request_numbered(self.actor, pk))


class Withdraw(ApiView):
    @extend_schema(request=Comment, responses=answers.RequestAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Take your own request back."""
        asked = valid(Comment(data=request.data))
        services.withdraw_request(selectors.request_numbered(self.actor, pk), actor=self.actor, **asked)
        return _answer(self, selectors.request_numbered(self.actor, pk))


def _answer(view: ApiView, found: PromotionRequest) -> Response:
    return Response(answers.RequestAnswer(found, context={"actor": view.actor}).data)
