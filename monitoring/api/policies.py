"""The endpoints of retrain policies: validate, call one service or selector, serialise."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.views import ApiView
from monitoring.api import policy_answers as serializers
from monitoring.selectors.policies import decisions, policy_of
from monitoring.services import set_retrain_policy
from registry.api.views import valid
from registry.selectors import model_named

SHOWN = 20


class Policy(ApiView):
    @extend_schema(responses=serializers.PolicyAnswer)
    def get(self, request: Request, name: str) -> Response:
        """When a model is trained again by itself, and what came of the last reasons to. `set_by` is null, and
        nothing happens, until somebody has set a policy."""
        model = model_named(self.actor, name)
        return Response(serializers.PolicyAnswer((policy_of(model), decisions(model)[:SHOWN])).data)

    @extend_schema(request=serializers.PolicyFields, responses=serializers.PolicyAnswer)
    def put(self, request: Request, name: str) -> Response:
        """Set it; what is left out stays. A trigger that is null is off. Runs are requested in your name."""
        model, asked = model_named(self.actor, name), valid(serializers.PolicyFields(data=request.data))
        policy = set_retrain_policy(model, actor=self.actor, fields=asked)
        return Response(serializers.PolicyAnswer((policy, decisions(model)[:SHOWN])).data)
