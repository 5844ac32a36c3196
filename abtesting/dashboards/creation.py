"""A new experiment: first what each design needs and what will happen, then the button that starts it."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse

from abtesting import selectors, services
from abtesting.dashboards.preview import chosen_option, preview
from abtesting.forms import ExperimentForm
from abtesting.selectors.planning import Planning, plan_experiment, plannable
from abtesting.services.terms import MOST, checked
from abtesting.stats.measures import Costs
from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden, StewardError
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import metric
from registry.choices import Stage
from registry.models import RegisteredModel, Version
from registry.selectors import in_production, model_named, models, versions
from registry.selectors.models import stages_of

START = "start"


class ChoosePage(Page):
    """Which model: one that has a version in production and another in staging."""

    template_name = "abtesting/choose.html"
    title = "New experiment"

    def facts(self) -> dict[str, Any]:
        mine = self.actor.teams(Action.EXPERIMENT_SHADOW)
        if not mine:
            raise Forbidden("a data scientist or an ML engineer starts experiments")
        found = [(model, stages_of(model)) for model in models(self.actor).filter(team__in=mine)]
        lines = [
            (model, stages[Stage.PRODUCTION], stages.get(Stage.STAGING))
            for model, stages in found
            if Stage.PRODUCTION in stages
        ]
        return {"lines": lines}


class NewExperimentPage(FormPage):
    template_name = "abtesting/new.html"
    form_class = ExperimentForm
    title = "New experiment"

    @cached_property
    def model(self) -> RegisteredModel:
        return model_named(self.actor, self.kwargs["model"])

    @cached_property
    def serving(self) -> Version | None:
        return in_production(self.model)

    @cached_property
    def live(self) -> bool:
        """Whether the actor may let a challenger answer claims."""
        return self.actor.may(Action.EXPERIMENT_LIVE, self.model.team_id)

    def form_options(self) -> dict[str, Any]:
        staged = [version.number for version in versions(self.model) if version.stage == Stage.STAGING]
        known = plannable(self.serving, Costs(1, 1)) if self.serving else []
        wanted = self.request.GET.get("version_b", "")
        first = {"mode": "shadow", "success_metrics": known[3:4] if "f1_score" in known else known[:1]}
        return {
            "versions": staged,
            "metrics": [(name, metric(name)) for name in known],
            "live": self.live,
            "initial": {**first, **({"version_b": wanted} if wanted in staged else {})},
        }

    def facts(self) -> dict[str, Any]:
        if not self.actor.may(Action.EXPERIMENT_SHADOW, self.model.team_id):
            raise Forbidden(f"a data scientist or an ML engineer of {self.model.team} starts experiments")
        return {
            "model": self.model,
            "serving": self.serving,
            "running": selectors.running_experiment(self.model),
            "staged": self.form_options()["versions"],
            "live": self.live,
        }

    def save(self, form: ExperimentForm) -> str | HttpResponse:
        """The first POST shows the preview. The second starts it, if nothing was changed since."""
        terms, planning, why = form.terms(), None, ""
        if self.serving is not None:
            checked(self.serving, metrics=terms["metrics"], given=_given(terms))
        try:
            planning = self._planned(form)
        except StewardError as error:
            if any(each.field in form.fields for each in error.errors):
                raise
            why = error.detail
        seen = _digest(form)
        if self.request.POST.get("step") == START and form.cleaned_data["previewed"] == seen:
            return self._start(terms, planning)
        form.data = self.request.POST.copy()
        form.data["previewed"] = seen
        option = chosen_option(planning, terms) if planning else None
        shown = {
            "planning": planning,
            "unplanned": why,
            "option": option,
            "preview": preview(self.serving.number if self.serving else "", terms, option),
            "ready": True,
            "changed": self.request.POST.get("step") == START,
        }
        return self.render_to_response({**self.get_context_data(form=form), **shown})

    def _planned(self, form: ExperimentForm) -> Planning:
        said = form.cleaned_data
        return plan_experiment(
            self.actor,
            model_name=self.model.name,
            version_b=said["version_b"],
            success_metrics=said["success_metrics"],
            gain=said["gain"],
            margin=said["margin"],
            traffic_split=said["traffic_split"],
            holdout=said["holdout"] or 0.0,
            costs=Costs(**form.costs) if form.costs else None,
            steps=said["steps"],
            step_hours=said["step_hours"],
        )

    def _start(self, terms: dict[str, Any], planning: Planning | None) -> str:
        option = chosen_option(planning, terms) if planning else None
        number = self.serving.number if self.serving else ""
        made = services.create_experiment(
            actor=self.actor,
            model_name=self.model.name,
            version_a=number,
            version_b=terms["version_b"],
            metrics=terms["metrics"],
            planned_labels=min(option.plan.labels, MOST) if option else None,
            **_given(terms),
        )
        messages.success(self.request, "It runs. Look at it whenever you like: looking does no harm.")
        return reverse("experiment", args=[made.pk])


def _given(terms: dict[str, Any]) -> Any:
    """What of the terms is not the service's own arguments."""
    return {name: value for name, value in terms.items() if name not in ("metrics", "version_b")}


def _digest(form: ExperimentForm) -> str:
    """Of all that was typed."""
    said = {name: value for name, value in form.cleaned_data.items() if name != "previewed"}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
