"""When a model is trained again by itself: the form, and what came of the reasons so far."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action
from monitoring import services
from monitoring.choices import Outcome, Trigger
from monitoring.forms import RetrainPolicyForm, TeamRetrainPolicyForm
from monitoring.models import RetrainPolicy, TeamRetrainPolicy
from monitoring.selectors.policies import (
    NOT_TAKEN,
    all_decisions,
    decisions,
    last_taken,
    origin_of,
    policy_of,
    team_named,
    team_policy_of,
)
from monitoring.services.policies import said
from registry.models import RegisteredModel
from registry.selectors import model_named, models
from training.selectors import runs

SHOWN, PAGE_SIZE = 20, 50


class RetrainPolicyPage(FormPage):
    """Everybody of the team reads it; who may schedule sets it."""

    template_name = "monitoring/policy.html"
    title = "Retraining"
    form_class = RetrainPolicyForm
    button = "Set the policy"

    @cached_property
    def model(self) -> RegisteredModel:
        return model_named(self.actor, self.kwargs["model"])

    @cached_property
    def policy(self) -> RetrainPolicy:
        return policy_of(self.model)

    def form_options(self) -> dict[str, Any]:
        policy = self.policy
        return {"initial": {**said(policy), "enabled": policy.enabled or not policy.is_set}}

    def facts(self) -> dict[str, Any]:
        model = self.model
        policy, back = self.policy, reverse("model", args=[model.name])
        return {
            "model": model,
            "crumbs": [("Models", reverse("models")), (model.name, back)],
            "back": back,
            "policy": policy,
            "may_set": self.actor.may(Action.RETRAIN_SET, model.team_id),
            "origin": origin_of(model),
            "last": last_taken(model),
            "decisions": decisions(model)[:SHOWN],
        }

    def save(self, form: RetrainPolicyForm) -> str | HttpResponse:
        model = self.model
        if "dry_run" in self.request.POST:
            found = services.dry_run_policy(model, actor=self.actor, fields=form.fields_said())
            shown = [(step, Outcome(step.outcome).label) for step in found.steps]
            return self.render_to_response({**self.get_context_data(form=form), "rehearsal": found, "steps": shown})
        services.set_retrain_policy(model, actor=self.actor, fields=form.fields_said())
        messages.success(self.request, f"The retrain policy of {model} is set; its runs are requested in your name.")
        return reverse("retrain_policy", args=[model.name])


class TeamRetrainPolicyPage(FormPage):
    """What holds for a team's models that have no policy of their own."""

    title = "Retraining in the team"
    form_class = TeamRetrainPolicyForm
    button = "Set the team's policy"

    def form_options(self) -> dict[str, Any]:
        team = team_named(self.actor, self.kwargs["team"])
        policy = team_policy_of(team) or TeamRetrainPolicy(team=team)
        return {"initial": said(policy)}

    def facts(self) -> dict[str, Any]:
        back = reverse("retrain_decisions")
        return {
            "title": f"Retraining in {self.kwargs['team']}",
            "crumbs": [("Retraining", back)],
            "back": back,
            "question": f"When are the models of {self.kwargs['team']} trained again by themselves?",
            "answer": "It holds for each model without a policy of its own.",
        }

    def save(self, form: TeamRetrainPolicyForm) -> str:
        team = team_named(self.actor, self.kwargs["team"])
        services.set_team_retrain_policy(team, actor=self.actor, fields=form.fields_said())
        messages.success(self.request, f"It holds for the models of {team} that have no policy of their own.")
        return reverse("team_retrain_policy", args=[team.name])


class RetrainDecisionsPage(Page):
    """Every reason to train again, taken or not."""

    template_name = "monitoring/decisions.html"
    title = "Retraining"

    def facts(self) -> dict[str, Any]:
        asked, names = self.request.GET, sorted(model.name for model in models(self.actor))
        known = {"model": names, "trigger": Trigger.values, "outcome": [*Outcome.values, NOT_TAKEN]}
        chosen = {name: value for name in known if (value := asked.get(name, "")) in known[name]}
        page = Paginator(all_decisions(self.actor, **chosen), PAGE_SIZE).get_page(asked.get("page"))
        led_to = {run.pk: run for run in runs(self.actor).filter(pk__in=[row.run_id for row in page if row.run_id])}
        return {
            **chosen,
            "page": page,
            "decisions": [(row, led_to.get(row.run_id) if row.run_id else None) for row in page],
            "models": names,
            "triggers": Trigger.choices,
            "outcomes": [*Outcome.choices, (NOT_TAKEN, "not taken, for any reason")],
            "narrowed": bool(chosen),
            "teams": Team.objects.filter(pk__in=self.actor.roles).order_by("name"),
        }
