"""Incidents: opened in the transaction of what went wrong, closed by a person who says how it ended."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from mlops_site.core import events, webhooks
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Action, Actor, person, require
from registry.models import Incident, Version
from registry.services.guards import locked, reason_given
from registry.signals import incident_closed, incident_opened

CHANNEL = "monitoring_webhook"  # the operator's one address, which alerts go to as well
OPENED, CLOSED = "incident.opened", "incident.closed"


def open_incident(version: Version, *, kind: str, what: str, actor: Actor) -> Incident:
    """The row with its audit row and its outgoing event, in the transaction of what went wrong.

    A version of a model that the caller has locked, or that nothing else changes meanwhile."""
    with events.atomic():
        incident = Incident.objects.create(
            model=version.model, version=version, kind=kind, what=what, opened_by=actor.user
        )
        _say(incident, OPENED, actor, {"kind": str(kind), "version": version.number, "what": what})
        incident_opened.send(sender=Incident, incident=incident, body=_body(incident, OPENED))
    return incident


def close_incident(incident: Incident, *, actor: Actor, resolution: str) -> Incident:
    """End it, saying how. Conflict `incident_closed` when it has ended already."""
    said = reason_given(resolution, field="resolution")
    with locked(incident.model) as model:
        row = Incident.objects.select_related("model__team", "version__model").get(pk=incident.pk)
        require(actor, Action.INCIDENT_CLOSE, model.team, subject=row.subject)
        if not row.is_open:
            message = f"incident {row.pk} was closed on {row.closed_at:%Y-%m-%d %H:%M} by {row.closed_by}"
            raise Conflict(message, code="incident_closed")
        row.closed_at, row.closed_by, row.resolution = timezone.now(), person(actor), said
        row.save(update_fields=["closed_at", "closed_by", "resolution"])
        _say(row, CLOSED, actor, {"version": row.version.number, "resolution": said})
        incident_closed.send(sender=Incident, incident=row, body=_body(row, CLOSED))
    return row


def _say(incident: Incident, event: str, actor: Actor, data: dict[str, Any]) -> None:
    team = incident.model.team
    events.record(event, actor=actor, subject=incident.subject, team=team.name, data=data)
    if settings.MONITORING_WEBHOOK_URL:
        body = _body(incident, event)
        webhooks.enqueue(channel=CHANNEL, subject=incident.subject, team=team, event=event, body=body)


def _body(incident: Incident, event: str) -> dict[str, Any]:
    """What the receiver reads. `url` is a path on this site, whose own name the receiver knows."""
    return {
        "type": event,
        "id": incident.pk,
        "at": timezone.now().isoformat(),
        "kind": str(incident.kind),
        "severity": incident.severity,
        "model": incident.model.name,
        "version": incident.version.number,
        "summary": incident.what[:1000],
        "status": incident.status,
        "resolution": incident.resolution[:1000],
        "url": reverse("incident", args=[incident.pk]),
    }
