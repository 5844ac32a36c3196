"""The endpoints of retrain policies: validate, call one service or selector, serialise."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from monitoring import services
from monitoring.api import policy_answers as serializers
from monitoring.models import TeamRetrainPolicy
from monitoring.selectors.policies import all_decisions, decisions, policy_of, team_named, team_policy_of
from registry.api.views import listed, valid
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
        policy = services.set_retrain_policy(model, actor=self.actor, fields=asked)
        return Response(serializers.PolicyAnswer((policy, decisions(model)[:SHOWN])).data)

    @extend_schema(responses=serializers.PolicyAnswer)
    def delete(self, request: Request, name: str) -> Response:
        """Give up the model's own policy; its team's holds then, if there is one. 409 `no_policy`."""
        model = model_named(self.actor, name)
        policy = services.drop_retrain_policy(model, actor=self.actor)
        return Response(serializers.PolicyAnswer((policy, decisions(model)[:SHOWN])).data)


class DryRun(ApiView):
    @extend_schema(request=serializers.PolicyFields, responses=serializers.RehearsalAnswer)
    def post(self, request: Request, name: str) -> Response:
        """What the model's policy, with these fields changed, would have done in the past 30 days. Nothing starts."""
        model, asked = model_named(self.actor, name), valid(serializers.PolicyFields(data=request.data))
        found = services.dry_run_policy(model, actor=self.actor, fields=asked)
        return Response(serializers.RehearsalAnswer(found).data)


class TeamPolicy(ApiView):
    @extend_schema(responses=serializers.TeamPolicyAnswer)
    def get(self, request: Request, team: str) -> Response:
        """What holds for the models of a team that have no retrain policy of their own."""
        row = team_named(self.actor, team)
        policy = team_policy_of(row) or TeamRetrainPolicy(team=row, enabled=False)
        return Response(serializers.TeamPolicyAnswer(policy).data)

    @extend_schema(request=serializers.TeamPolicyFields, responses=serializers.TeamPolicyAnswer)
    def put(self, request: Request, team: str) -> Response:
        """Set it; what is left out stays. Runs are requested in your name."""
        row, asked = team_named(self.actor, team), valid(serializers.TeamPolicyFields(data=request.data))
        policy = services.set_team_retrain_policy(row, actor=self.actor, fields=asked)
        return Response(serializers.TeamPolicyAnswer(policy).data)


class Decisions(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.DecisionFilter], responses=serializers.ListedDecision(many=True))
    def get(self, request: Request) -> Response:
        """Every reason to train a model of your teams again and what came of it, newest first."""
        asked = valid(serializers.DecisionFilter(data=request.query_params.dict()))
        filters = {name: asked[name] for name in ("model", "trigger", "outcome") if name in asked}
        return listed(self, all_decisions(self.actor, **filters), serializers.ListedDecision)
