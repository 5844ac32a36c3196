"""The endpoints of a model's alert rules, and of silences."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import Comment
from mlops_site.core.api.views import ApiView
from monitoring import services
from monitoring.api import rule_answers as serializers
from monitoring.selectors.rules import RuleInForce, history, rules_of
from monitoring.selectors.silences import silence_of, silences
from registry.api.views import listed, valid
from registry.models import RegisteredModel
from registry.selectors import model_named

SHOWN = 20


class Rules(ApiView):
    @extend_schema(responses=serializers.RulesAnswer)
    def get(self, request: Request, name: str) -> Response:
        """What raises alerts of a model, each kind with its severity, thresholds, persistence, end and escalation, and
        the last changes. Where nobody has set anything, the defaults hold."""
        model = model_named(self.actor, name)
        return answer(model, list(rules_of(model).values()))

    @extend_schema(request=serializers.RulesFields, responses=serializers.RulesAnswer)
    def put(self, request: Request, name: str) -> Response:
        """Set fields of one or several kinds; what is left out stays, and null takes the default again."""
        model, asked = model_named(self.actor, name), valid(serializers.RulesFields(data=request.data))
        found = services.set_alert_rules(model, actor=self.actor, **asked)
        return answer(model, list(found.values()))


class Rule(ApiView):
    @extend_schema(parameters=[serializers.DropFilter], responses=serializers.RulesAnswer)
    def delete(self, request: Request, name: str, rule: str) -> Response:
        """Let one kind follow its defaults again. 409 `no_rule` where nobody has set it."""
        asked = valid(serializers.DropFilter(data=request.query_params.dict()))
        model = model_named(self.actor, name)
        found = services.drop_alert_rule(model, rule, actor=self.actor, **asked)
        return answer(model, list(found.values()))


def answer(model: RegisteredModel, rules: list[RuleInForce]) -> Response:
    return Response(serializers.RulesAnswer((rules, history(model)[:SHOWN])).data)


class Silences(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.SilenceFilter], responses=serializers.SilenceAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The silences of your teams, newest first: those that hold or will, or those of `status`."""
        asked = valid(serializers.SilenceFilter(data=request.query_params.dict()))
        filters = {name: asked[name] for name in ("status", "model") if name in asked}
        return listed(self, silences(self.actor, **filters), serializers.SilenceAnswer)

    @extend_schema(request=serializers.SilenceFields, responses={201: serializers.SilenceAnswer})
    def post(self, request: Request) -> Response:
        """Deliver nothing about alerts of a model, of one kind or subject or all, for 1 to 720 `hours` from now or from
        `starts_at`. It also holds for alerts that do not exist yet."""
        asked = valid(serializers.SilenceFields(data=request.data))
        model = model_named(self.actor, asked.pop("model"))
        made = services.silence(model, actor=self.actor, **asked)
        return Response(serializers.SilenceAnswer(made).data, status=201)


class SilenceEnd(ApiView):
    @extend_schema(request=Comment, responses=serializers.SilenceAnswer)
    def post(self, request: Request, pk: int) -> Response:
        """End it before its time. 409 `wrong_state` if it is over."""
        asked = valid(Comment(data=request.data))
        ended = services.end_silence(silence_of(self.actor, pk), actor=self.actor, **asked)
        return Response(serializers.SilenceAnswer(ended).data)
