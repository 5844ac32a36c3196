"""One alert: the evidence that raised it, what happened to it, what happens next, and what people do about it."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action
from monitoring import selectors, services
from monitoring.choices import UNRESOLVED
from monitoring.dashboards.evidence import evidence_of
from monitoring.forms import AlertForm
from monitoring.models import Alert
from monitoring.selectors import channels
from monitoring.selectors.told import told_of
from monitoring.services.handling import handlers

ACKNOWLEDGE, RESOLVE, SILENCE, ASSIGN, COMMENT = "acknowledge", "resolve", "silence", "assign", "comment"
DEEDS = (ACKNOWLEDGE, RESOLVE, SILENCE, ASSIGN, COMMENT)


class AlertPage(FormPage):
    """A POST names its deed."""

    template_name = "monitoring/alert.html"
    form_class = AlertForm

    def form_options(self) -> dict[str, Any]:
        alert = selectors.alert_of(self.actor, self.kwargs["pk"])
        given = alert.assignee.username if alert.assignee else ""
        return {"people": handlers(alert.model.team), "initial": {"assignee": given}}

    def facts(self) -> dict[str, Any]:
        alert = selectors.alert_of(self.actor, self.kwargs["pk"])
        told = told_of(alert)
        return {
            "title": f"Alert {str(alert.pk)[:8]}",
            "alert": alert,
            "told": told,
            "evidence": evidence_of(alert.evidence),
            "steps": steps(alert),
            "deliveries": channels.named(told.deliveries),
            "held": list(channels.held_of(alert)),
            "has_webhook": bool(settings.MONITORING_WEBHOOK_URL),
            "may": self.actor.may(Action.ALERT_HANDLE, alert.model.team_id),
            "is_open": alert.status in UNRESOLVED,
        }

    def save(self, form: AlertForm) -> str:
        alert = selectors.alert_of(self.actor, self.kwargs["pk"])
        messages.success(self.request, self._done(alert, form.cleaned_data))
        return reverse("alert", args=[alert.pk])

    def _done(self, alert: Alert, typed: dict[str, Any]) -> str:
        """Do it; what came of it, for the person."""
        deed, said = self.request.POST.get("deed", ""), {"actor": self.actor, "comment": typed["comment"]}
        if deed == ACKNOWLEDGE:
            services.acknowledge_alert(alert, **said)
            return "You look at it."
        if deed == RESOLVE:
            services.resolve_alert(alert, **said)
            return "It is resolved; the next finding opens another."
        if deed == SILENCE:
            services.silence_alert(alert, hours=typed["hours"], **said)
            return f"Silent for {typed['hours']} hours."
        if deed == ASSIGN:
            services.assign_alert(alert, assignee=typed["assignee"] or None, **said)
            return f"It is given to {typed['assignee'] or 'nobody'}."
        if deed == COMMENT:
            services.comment_alert(alert, **said)
            return "Your remark is kept."
        raise Invalid(f"deed must be {', '.join(DEEDS[:-1])} or {DEEDS[-1]} but got {deed[:80]!r}")


class Step(NamedTuple):
    """One step of its life."""

    name: str
    said: str
    done: bool


def steps(alert: Alert) -> list[Step]:
    """From the first finding to its end."""
    times = f"{alert.count} time{'s' if alert.count > 1 else ''}"
    seen, ended = alert.acknowledged_at, alert.resolved_at
    looked = f"{alert.acknowledged_by}, {seen:%d %b %H:%M}" if seen else "nobody" if ended else "nobody yet"
    return [
        Step("First seen", f"{alert.first_seen_at:%d %b %H:%M}", True),
        Step("Last seen", f"{alert.last_seen_at:%d %b %H:%M}, {times} in all", True),
        Step("Looked at", looked, seen is not None),
        Step(
            "Resolved",
            f"{alert.resolved_by or 'by itself'}, {ended:%d %b %H:%M}" if ended else "not yet",
            ended is not None,
        ),
    ]
