"""One model over HTTP: it joins the registry, which has it, and monitoring, which knows what is wrong with it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import SerializerMethodField

from abtesting.api.answers import RunningExperimentAnswer
from abtesting.selectors import is_tried, running_experiment
from mlops_site.core import events
from mlops_site.core.api.views import ApiView
from mlops_site.core.permissions import Action
from mlops_site.core.prepared import PreparedObjects
from monitoring.api.serializers import AlertLine
from monitoring.selectors import has_open_alerts, open_alerts
from registry import selectors, services
from registry.api.answers import ModelDetailAnswer
from registry.api.serializers import ModelEdit
from registry.api.views import valid
from registry.models import RegisteredModel


class ModelWithAlerts(ModelDetailAnswer):
    """One model with what serves, what waits for people, what is wrong, what is tried on its claims, and how far
    candidates go by themselves."""

    open_alerts = SerializerMethodField(help_text="the unresolved ones, worst first")
    running_experiment = SerializerMethodField(help_text="null if none runs")

    class Meta(ModelDetailAnswer.Meta):
        fields = (*ModelDetailAnswer.Meta.fields, "open_alerts", "running_experiment")

    @extend_schema_field(AlertLine(many=True))
    def get_open_alerts(self, model: RegisteredModel) -> Any:
        return AlertLine(open_alerts(model) if getattr(model, "has_open_alerts", True) else [], many=True).data

    @extend_schema_field(RunningExperimentAnswer(allow_null=True))
    def get_running_experiment(self, model: RegisteredModel) -> Any:
        found = running_experiment(model) if getattr(model, "is_tried", True) else None
        return None if found is None else RunningExperimentAnswer(found).data


@PreparedObjects
def _told(name: str, teams: list[int]) -> QuerySet[RegisteredModel]:
    """With whether there is what most models have not, which is then not asked for in vain."""
    rows = selectors.models_named(name, teams)
    waits = {"has_open_requests": selectors.has_open_requests(), "has_open_alerts": has_open_alerts()}
    return rows.annotate(**waits, is_tried=is_tried())


class ModelDetail(ApiView):
    @extend_schema(responses=ModelWithAlerts)
    def get(self, request: Request, name: str) -> Response:
        """One model with its production version, open requests, open alerts, running experiment and deploy policy."""
        return self._answer(name)

    @extend_schema(request=ModelEdit, responses=ModelWithAlerts)
    def patch(self, request: Request, name: str) -> Response:
        """Change description, owner, risk tier or deploy policy, each as far as your role allows."""
        asked = valid(ModelEdit(data=request.data))
        model = selectors.model_named(self.actor, name)
        reach, reason = asked.pop("auto_deploy", None), asked.pop("reason", "")
        with events.atomic():
            services.edit_model(model, actor=self.actor, **asked)
            if reach is not None:
                services.set_deploy_policy(model, actor=self.actor, reach=reach, reason=reason)
        return self._answer(name)

    def _answer(self, name: str) -> Response:
        found = selectors.only_model(_told(name, self.actor.teams(Action.VIEW)), name)
        model = selectors.with_names(found)
        return Response(ModelWithAlerts(model, context={"actor": self.actor}).data)
