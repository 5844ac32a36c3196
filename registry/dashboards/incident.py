"""An incident's page, on which it is closed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.permissions import Action
from registry import selectors, services
from registry.forms import ResolutionForm


class IncidentPage(FormPage):
    template_name = "registry/incident.html"
    form_class = ResolutionForm
    button = "Close the incident"

    def facts(self) -> dict[str, Any]:
        incident = selectors.incident_numbered(self.actor, self.kwargs["pk"])
        may_close = incident.is_open and self.actor.may(Action.INCIDENT_CLOSE, incident.model.team_id)
        return {"title": str(incident), "incident": incident, "may_close": may_close}

    def save(self, form: ResolutionForm) -> str:
        incident = selectors.incident_numbered(self.actor, self.kwargs["pk"])
        done = services.close_incident(incident, actor=self.actor, resolution=form.cleaned_data["resolution"])
        messages.success(self.request, f"The incident of {done.version} is closed.")
        return reverse("incident", args=[done.pk])
