"""Reports, as people see them and as the next report looks back on them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Actor, visible
from monitoring.choices import Occasion
from monitoring.models import Report
from registry.models import Version

_HEAVY = ("version__reference", "version__golden", "version__signature")


def reports(actor: Actor, *, model: str = "") -> QuerySet[Report]:
    """Reports of the actor's teams, newest first; one query."""
    rows = visible(actor, Report.objects.all(), team="model__team")
    if model:
        rows = rows.filter(model__name=model)
    chosen = rows.select_related("model", "version__model", "created_by").defer(*_HEAVY)
    return chosen.order_by("-created_at", "-pk")


def report_of(actor: Actor, report_id: UUID) -> Report:
    """One report; NotFound if it is absent or another team's."""
    found = reports(actor).filter(pk=report_id).first()
    if found is None:
        raise NotFound(f"no report {report_id} here, or it belongs to another team", code="unknown_report")
    return found


def findings_before(version: Version, window_to: datetime, count: int) -> list[list[dict[str, object]]]:
    """Findings of the last `count` scheduled reports on the version's logged rows that ended before, be it that they
    were made afterwards; oldest first. Looks in between share a window with the report that ends it, and do not count.
    """
    rows = Report.objects.filter(version=version, explicit=False, from_frames=False, window_to__lt=window_to)
    rows = rows.exclude(occasion=Occasion.IN_TIME)
    newest = rows.order_by("-window_to", "-created_at").values_list("findings", flat=True)[:count]
    return list(reversed(newest))


def has_report(version: Version, start: datetime, end: datetime) -> bool:
    """Whether there is one on exactly this window of logged rows that nobody had to ask for."""
    same = {"version": version, "window_from": start, "window_to": end}
    return Report.objects.filter(**same, explicit=False, from_frames=False).exists()
