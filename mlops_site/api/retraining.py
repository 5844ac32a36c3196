"""Training again over HTTP: it joins training, which does it, and monitoring, which has the rows."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.serializers import JobAnswer, StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.tasks import ring
from monitoring.services import trigger_retraining
from registry.api.views import valid
from registry.selectors import model_named
from training.api.views import accepted


class RetrainOrder(StrictSerializer):
    model_name = TextField(max_length=63)
    trigger_reason = TextField(max_length=200)
    config_overrides = serializers.DictField(required=False, help_text="fields of POST /training/start")
    dataset = TextField(max_length=80, required=False, help_text="left out: made of the labelled predictions")


class TriggerRetraining(ApiView):
    @extend_schema(request=RetrainOrder, responses={status.HTTP_202_ACCEPTED: JobAnswer})
    def post(self, request: Request) -> Response:
        """Train a model again as its version in production was, on the labelled predictions since, after the rows of
        the last training where the policy keeps them. 409 `cooling_down`, `already_running`, `not_enough_labels`."""
        asked = valid(RetrainOrder(data=request.data))
        model = model_named(self.actor, asked.pop("model_name"))
        run = trigger_retraining(model, actor=self.actor, **asked)
        ring(run)
        return accepted(run)
