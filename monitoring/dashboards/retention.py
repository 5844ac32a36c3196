"""How long predictions of a model are kept, changed by people."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.errors import Forbidden
from mlops_site.core.permissions import Action
from monitoring import services
from monitoring.forms import RetentionForm
from monitoring.selectors.retention import Terms, terms_of, waiting_labels
from registry.models import RegisteredModel
from registry.selectors import model_named

PARTS = {
    "retention_days": Action.PREDICTION_KEEP,
    "feature_days": Action.PREDICTION_KEEP,
    "hold": Action.PREDICTION_HOLD,
}


class RetentionPage(FormPage):
    title = "Retention"
    form_class = RetentionForm

    @cached_property
    def model(self) -> RegisteredModel:
        return model_named(self.actor, self.kwargs["model"])

    @cached_property
    def terms(self) -> Terms:
        return terms_of(self.model)

    def form_options(self) -> dict[str, Any]:
        names = [name for name, right in PARTS.items() if self.actor.may(right, self.model.team_id)]
        if not names:
            raise Forbidden("an ML engineer sets how long predictions are kept, an approver the legal hold")
        return {"fields": names, "initial": {name: getattr(self.terms.own, name) for name in PARTS}}

    def facts(self) -> dict[str, Any]:
        back, waiting = reverse("monitoring", args=[self.model.name]), waiting_labels(self.model.pk)
        notes = [f"{waiting:,} labels wait for predictions that have not been logged."] if waiting else []
        return {
            "crumbs": [("Models", reverse("models")), (self.model.name, reverse("model", args=[self.model.name]))],
            "back": back,
            "question": f"How long are predictions of {self.model} kept?",
            "answer": f"{_sentence(self.terms)} What they add up to stays, so no chart changes.",
            "notes": notes,
        }

    def save(self, form: RetentionForm) -> str:
        services.set_retention(self.model, actor=self.actor, fields=form.cleaned_data)
        messages.success(self.request, "Set.")
        return reverse("retention", args=[self.model.name])


def _sentence(terms: Terms) -> str:
    if terms.hold:
        return f"Nothing may be deleted: {terms.hold}."
    kept, features = (f"for {days:,} days" if days else "for good" for days in terms[1:3])
    return f"Predictions and their labels are kept {kept}, the features that they were made of {features}."
