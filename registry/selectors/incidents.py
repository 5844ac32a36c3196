"""Incidents of the models that an actor sees."""

from __future__ import annotations

from django.db.models import QuerySet

from mlops_site.core.errors import Invalid, NotFound
from mlops_site.core.permissions import Actor, visible
from registry.choices import INCIDENT_SEVERITY, IncidentKind
from registry.models import Incident, RegisteredModel

STATUSES = ("open", "closed")


def incidents(
    actor: Actor, *, model: RegisteredModel | None = None, status: str = "", kind: str = "", severity: str = ""
) -> QuerySet[Incident]:
    """Latest first; one query. `severity` is that of their kinds."""
    rows = visible(actor, Incident.objects.all(), team="model__team")
    allowed = (
        ("status", status, STATUSES),
        ("kind", kind, tuple(IncidentKind.values)),
        ("severity", severity, tuple(INCIDENT_SEVERITY.values())),
    )
    for field, value, known in allowed:
        if value and value not in known:
            message = f"{field} must be one of {', '.join(known)} but got {value[:80]!r}"
            raise Invalid.on(field, message, code=f"unknown_{field}")
    if status:
        rows = rows.filter(closed_at__isnull=status == "open")
    if kind:
        rows = rows.filter(kind=kind)
    if severity:
        rows = rows.filter(kind__in=[each for each, worth in INCIDENT_SEVERITY.items() if worth == severity])
    if model is not None:
        rows = rows.filter(model=model)
    chosen = rows.select_related("model__team", "version__model", "opened_by", "closed_by")
    return chosen.defer("version__reference", "version__golden").order_by("-opened_at", "-pk")


def incident_numbered(actor: Actor, pk: int) -> Incident:
    """One incident; NotFound if it is absent or another team's."""
    found = incidents(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"no incident {pk} here, or it belongs to another team", code="unknown_incident")
    return found
