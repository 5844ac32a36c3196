"""The endpoints of channels and their log: validate, call one service or selector, serialise."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from mlops_site.core.models import Delivery
from monitoring import services
from monitoring.api import channel_answers as answers
from monitoring.selectors import channels
from registry.api.views import listed, valid


class Channels(ApiView):
    pagination_class = Pages
    answers_secrets = True

    @extend_schema(responses=answers.ChannelAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Where the alerts of your teams are told, by name."""
        return listed(self, channels.channels(self.actor), answers.ChannelAnswer)

    @extend_schema(request=answers.ChannelNew, responses={201: answers.MadeAnswer})
    def post(self, request: Request) -> Response:
        """Tell a team's alerts somewhere else too. The `secret` that webhooks are signed with is in this answer only.
        An Idempotency-Key is passed over, for answers are kept by it: a repeat is 409 `name_taken`."""
        asked = valid(answers.ChannelNew(data=request.data))
        about = {"kind": asked.pop("kind"), "team": asked.pop("team", None)}
        return _made(services.create_channel(actor=self.actor, fields=asked, **about), status.HTTP_201_CREATED)


class ChannelDetail(ApiView):
    @extend_schema(responses=answers.ChannelAnswer)
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(answers.ChannelAnswer(channels.channel_of(self.actor, pk)).data)

    @extend_schema(request=answers.ChannelFields, responses=answers.ChannelAnswer)
    def patch(self, request: Request, pk: UUID) -> Response:
        """Change it; what is left out stays. An empty address stays too, but for an inbox."""
        channel, asked = channels.channel_of(self.actor, pk), valid(answers.ChannelFields(data=request.data))
        services.change_channel(channel, actor=self.actor, fields=asked)
        return Response(answers.ChannelAnswer(channels.channel_of(self.actor, pk)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Nothing more is told there, what waits included; its log stays."""
        services.delete_channel(channels.channel_of(self.actor, pk), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Test(ApiView):
    @extend_schema(request=None, responses={202: answers.DeliveryAnswer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Send a real message now, whatever its hours: one attempt. GET /monitoring/deliveries/{id} says how it
        went. 429 `rate_limited` after five within a minute."""
        return _accepted(services.try_channel(channels.channel_of(self.actor, pk), actor=self.actor))


class Secret(ApiView):
    answers_secrets = True

    @extend_schema(request=None, responses=answers.MadeAnswer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Sign with another secret from now on; it is in this answer only. 409 `no_secret` unless it is a webhook."""
        return _made(services.renew_secret(channels.channel_of(self.actor, pk), actor=self.actor), status.HTTP_200_OK)


class ChannelDeliveries(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[answers.DeliveryFilter], responses=answers.DeliveryAnswer(many=True))
    def get(self, request: Request, pk: UUID) -> Response:
        """What was sent there, newest first."""
        asked = valid(answers.DeliveryFilter(data=request.query_params.dict()))
        channel = channels.channel_of(self.actor, pk)
        rows = channels.deliveries_of(self.actor, channel=channel, state=asked.get("state", ""))
        return listed(self, rows, answers.DeliveryAnswer)


class Deliveries(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[answers.DeliveryFilter], responses=answers.DeliveryAnswer(many=True))
    def get(self, request: Request) -> Response:
        """What was sent for your teams, to their channels and to the operator's webhooks, newest first."""
        asked = valid(answers.DeliveryFilter(data=request.query_params.dict()))
        return listed(self, channels.deliveries_of(self.actor, state=asked.get("state", "")), answers.DeliveryAnswer)


class DeliveryDetail(ApiView):
    @extend_schema(responses=answers.DeliveryAnswer)
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(answers.DeliveryAnswer(channels.delivery_of(self.actor, pk)).data)


class Redeliver(ApiView):
    @extend_schema(request=None, responses={202: answers.DeliveryAnswer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Try once more what was given up. 409 `wrong_state` if it was not."""
        return _accepted(services.redeliver(channels.delivery_of(self.actor, pk), actor=self.actor))


def _made(made: services.Made, code: int) -> Response:
    return Response(answers.MadeAnswer(made.channel, context={"secret": made.secret}).data, status=code)


def _accepted(delivery: Delivery) -> Response:
    return Response(answers.DeliveryAnswer(delivery).data, status=status.HTTP_202_ACCEPTED)
