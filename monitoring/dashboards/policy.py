"""When a model is trained again by itself: the form, and what came of the reasons so far."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.permissions import Action
from monitoring import services
from monitoring.forms import RetrainPolicyForm
from monitoring.models import RetrainPolicy
from monitoring.selectors.policies import decisions, last_taken, origin_of, policy_of
from monitoring.services.policies import said
from registry.models import RegisteredModel
from registry.selectors import model_named

SHOWN = 20


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
        return {"initial": {**said(policy), "enabled": policy.enabled or policy.pk is None}}

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

    def save(self, form: RetrainPolicyForm) -> str:
        model = self.model
        services.set_retrain_policy(model, actor=self.actor, fields=form.fields_said())
        messages.success(self.request, f"The retrain policy of {model} is set; its runs are requested in your name.")
        return reverse("retrain_policy", args=[model.name])
