"""By what a model's answers are told apart: the slices in force, another one, and the limits of gaps."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django import forms
from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.permissions import Action
from monitoring import services
from monitoring.forms import FairnessForm, SliceForm
from monitoring.models import FairnessLimits
from monitoring.selectors.slices import (
    fairness_of,
    features_of,
    names_sent,
    slices_of,
    slicing,
    version_watched,
)
from monitoring.services.slices import MAX_SLICES, limits_in_force
from registry.models import RegisteredModel
from registry.selectors import model_named


class SlicesPage(FormPage):
    """Everybody of the team reads it; an ML engineer or a validator sets it. Which button was pressed says what."""

    template_name = "monitoring/slices.html"
    title = "Slices"

    @cached_property
    def model(self) -> RegisteredModel:
        return model_named(self.actor, self.kwargs["model"])

    @cached_property
    def fairness(self) -> FairnessLimits:
        return fairness_of(self.model)

    def form_sent(self) -> type[forms.Form]:
        sent = self.request.POST
        return forms.Form if "end" in sent else FairnessForm if "limits" in sent else SliceForm

    def form_options(self) -> dict[str, Any]:
        if self.request.method != "POST":
            return {}
        sent = self.form_sent()
        return self._declaring() if sent is SliceForm else self._limiting() if sent is FairnessForm else {}

    def facts(self) -> dict[str, Any]:
        model, back = self.model, reverse("monitoring", args=[self.model.name])
        rows = [(row, slicing(row).places) for row in slices_of(model)]
        return {
            "model": model,
            "crumbs": [
                ("Models", reverse("models")),
                (model.name, reverse("model", args=[model.name])),
                ("Monitoring", back),
            ],
            "slices": rows,
            "room": MAX_SLICES - len(rows),
            "most": MAX_SLICES,
            "may_set": self.actor.may(Action.SLICES_SET, model.team_id),
            "limits": limits_in_force(self.fairness),
            "min_rows": self.fairness.min_rows,
        }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Both forms, that which was sent as it was sent."""
        sent = kwargs.get("form")
        found = super().get_context_data(**{"form": forms.Form(), **kwargs})
        adding = sent if isinstance(sent, SliceForm) else SliceForm(**self._declaring())
        limiting = sent if isinstance(sent, FairnessForm) else FairnessForm(**self._limiting())
        return {**found, "adding": adding, "limiting": limiting}

    def save(self, form: Any) -> str:
        model, actor = self.model, self.actor
        if "end" in self.request.POST:
            said = self.request.POST["end"]
            ended = services.end_slice(model, int(said) if said.isdecimal() else 0, actor=actor)
            messages.success(self.request, f"Answers are told apart by {ended.name} no more, a minute from now.")
        elif isinstance(form, FairnessForm):
            services.set_fairness_limits(model, actor=actor, **form.asked())
            messages.success(self.request, "The limits are set; they hold from the next report on.")
        else:
            made = services.declare_slice(model, actor=actor, **form.asked())
            messages.success(
                self.request, f"Answers from {made.counts_from:%H:%M} UTC on are told apart by {made.name}."
            )
        return reverse("slices", args=[model.name])

    def _declaring(self) -> dict[str, Any]:
        return {"features": features_of(version_watched(self.model)), "names": names_sent(self.model)}

    def _limiting(self) -> dict[str, Any]:
        limits = limits_in_force(self.fairness)
        return {"measures": list(limits), "initial": {**limits, "min_rows": self.fairness.min_rows}}
