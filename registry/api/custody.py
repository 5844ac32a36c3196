"""The endpoints of who answers for a model: archiving it, bringing it back, handing it to another team."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import Comment
from mlops_site.core.api.views import ApiView
from registry import selectors, services
from registry.api import answers, catalog_answers, serializers
from registry.api.views import listed, valid


class Archive(ApiView):
    @extend_schema(request=serializers.Reason, responses=answers.ModelAnswer)
    def post(self, request: Request, name: str) -> Response:
        """Archive a model with what serves of it: it takes nothing new and leaves the lists."""
        asked = valid(serializers.Reason(data=request.data))
        services.archive_model(selectors.model_named(self.actor, name), actor=self.actor, **asked)
        return Response(answers.ModelAnswer(selectors.model_named(self.actor, name)).data)


class Restore(ApiView):
    @extend_schema(request=serializers.Reason, responses=answers.ModelAnswer)
    def post(self, request: Request, name: str) -> Response:
        """Bring an archived model back; its versions stay where they are."""
        asked = valid(serializers.Reason(data=request.data))
        services.restore_model(selectors.model_named(self.actor, name), actor=self.actor, **asked)
        return Response(answers.ModelAnswer(selectors.model_named(self.actor, name)).data)


class Offer(ApiView):
    @extend_schema(request=serializers.TransferOrder, responses={201: catalog_answers.TransferAnswer})
    def post(self, request: Request, name: str) -> Response:
        """Offer a model to another team, whose admin accepts or declines."""
        asked = valid(serializers.TransferOrder(data=request.data))
        made = services.offer_transfer(selectors.model_named(self.actor, name), actor=self.actor, **asked)
        found = selectors.transfer_numbered(self.actor, made.pk)
        return Response(catalog_answers.TransferAnswer(found).data, status=status.HTTP_201_CREATED)


class Transfers(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.PageFilter], responses=catalog_answers.TransferAnswer(many=True))
    def get(self, request: Request) -> Response:
        """What your teams offered and were offered, latest first."""
        valid(serializers.PageFilter(data=request.query_params.dict()))
        return listed(self, selectors.transfers(self.actor), catalog_answers.TransferAnswer)


class TransferDetail(ApiView):
    @extend_schema(responses=catalog_answers.TransferAnswer)
    def get(self, request: Request, pk: int) -> Response:
        """One transfer."""
        return Response(catalog_answers.TransferAnswer(selectors.transfer_numbered(self.actor, pk)).data)


class Accept(ApiView):
    @extend_schema(request=serializers.NewOwner, responses=catalog_answers.TransferAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Take the model over, naming its new owner."""
        asked = valid(serializers.NewOwner(data=request.data))
        services.accept_transfer(selectors.transfer_numbered(self.actor, pk), actor=self.actor, **asked)
        return Response(catalog_answers.TransferAnswer(selectors.transfer_numbered(self.actor, pk)).data)


class Decline(ApiView):
    @extend_schema(request=Comment, responses=catalog_answers.TransferAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Turn the model down, saying why."""
        asked = valid(Comment(data=request.data))
        services.decline_transfer(selectors.transfer_numbered(self.actor, pk), actor=self.actor, **asked)
        return Response(catalog_answers.TransferAnswer(selectors.transfer_numbered(self.actor, pk)).data)


class WithdrawOffer(ApiView):
    @extend_schema(request=Comment, responses=catalog_answers.TransferAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """Take the offer back."""
        asked = valid(Comment(data=request.data))
        services.withdraw_transfer(selectors.transfer_numbered(self.actor, pk), actor=self.actor, **asked)
        return Response(catalog_answers.TransferAnswer(selectors.transfer_numbered(self.actor, pk)).data)
