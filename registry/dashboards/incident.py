"""Incidents of all models, and the page of one, on which it is closed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.permissions import Action
from registry import selectors, services
from registry.choices import INCIDENT_SEVERITY, IncidentKind
from registry.forms import ResolutionForm
from registry.selectors.incidents import STATUSES

PAGE_SIZE = 50


class IncidentsPage(Page):
    """What went wrong with models of the person's teams; open ones unless something else is asked for."""

    template_name = "registry/incidents.html"
    title = "Incidents"

    def facts(self) -> dict[str, Any]:
        rows = {model.name: model for model in selectors.models(self.actor, archived="all")}
        known = {
            "status": [*STATUSES, "all"],
            "kind": list(IncidentKind.values),
            "severity": list(dict.fromkeys(INCIDENT_SEVERITY.values())),
            "model": sorted(rows),
        }
        given = {name: self.request.GET.get(name, "") for name in known}
        asked = {name: value if value in known[name] else "" for name, value in given.items()}
        status = {"": "open", "all": ""}.get(asked["status"], asked["status"])
        filters = {"kind": asked["kind"], "severity": asked["severity"]}
        found = selectors.incidents(self.actor, model=rows.get(asked["model"]), status=status, **filters)
        return {
            "page": Paginator(found, PAGE_SIZE).get_page(self.request.GET.get("page")),
            "asked": asked,
            "known": known,
            "kinds": IncidentKind.choices,
            "open": selectors.incidents(self.actor, status="open").count(),
        }


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
