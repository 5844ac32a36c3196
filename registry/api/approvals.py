"""The endpoints of promotion requests."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import Comment
from mlops_site.core.api.views import ApiView
from registry import selectors, services
from registry.api import answers, serializers
from registry.api.views import listed, valid
from registry.models import PromotionRequest


class Approvals(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.ApprovalFilter], responses=answers.RequestAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Promotion requests of your teams, latest first, each with whether you may decide it, and why."""
        asked = valid(serializers.ApprovalFilter(data=request.query_params.dict()))
        model = selectors.model_named(self.actor, asked["model"]) if "model" in asked else None
        waiting, state = asked.get("waiting_for_me", False), asked.get("status", "")
        rows = selectors.requests(self.actor, status=state, model=model, waiting_for_me=waiting)
        return listed(self, rows, answers.RequestAnswer)


class Approval(ApiView):
    @extend_schema(responses=answers.RequestAnswer)
    def get(self, request: Request, pk: int) -> Response:
        """One request with its evidence and reviews."""
        return _answer(self, selectors.request_numbered(self.actor, pk))


class Review(ApiView):
    """One of the three decisions, set by the address."""

    decision = ""

    @extend_schema(request=Comment, responses=answers.RequestAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Decide a request. The approval that completes the quorum puts the version into production."""
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
