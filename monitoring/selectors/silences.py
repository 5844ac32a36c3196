"""What is silent, and until when."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Actor, visible
from monitoring.models import Alert, Silence
from registry.services.guards import one_of

ACTIVE, PAST, ALL = "active", "past", "all"


def holding(now: datetime) -> Q:
    """The silences that hold at a moment."""
    return Q(starts_at__lte=now, ends_at__gt=now, ended_at=None)


def is_silenced(alert: Alert) -> bool:
    """A silence belongs to what the alert is about: it outlives the alert that it was set on."""
    return silences_of(alert).exists()


def silences_of(alert: Alert) -> QuerySet[Silence]:
    """Those that hold for the alert now, the one that lasts longest first."""
    rows = Silence.objects.filter(holding(timezone.now()), model=alert.model_id, rule__in=["", alert.rule])
    rows = rows.filter(Q(every_subject=True) | Q(subject_key=alert.subject_key))
    return rows.select_related("model", "created_by").order_by("-ends_at")


def _of_row() -> QuerySet[Silence]:
    """The same of an alert in a statement."""
    rows = Silence.objects.filter(holding(timezone.now()), model=OuterRef("model"))
    rows = rows.filter(Q(rule="") | Q(rule=OuterRef("rule")))
    return rows.filter(Q(every_subject=True) | Q(subject_key=OuterRef("subject_key"))).order_by()


def has_silence() -> Exists:
    return Exists(_of_row())


def silence_end() -> Subquery:
    """The end of the longest silence that holds for an alert in a statement, or NULL."""
    return Subquery(_of_row().values("model").annotate(last=Max("ends_at")).values("last"))


def silences(actor: Actor, *, status: str = "", model: str = "") -> QuerySet[Silence]:
    """Of the actor's teams: those that hold or will (`active`, if left out), those that are over, or all; newest
    first."""
    rows, now = visible(actor, Silence.objects.all(), team="model__team"), timezone.now()
    lasting = Q(ends_at__gt=now, ended_at=None)
    chosen = one_of("status", status or ACTIVE, [ACTIVE, PAST, ALL])
    if chosen != ALL:
        rows = rows.filter(lasting if chosen == ACTIVE else ~lasting)
    if model:
        rows = rows.filter(model__name=model)
    return rows.select_related("model__team", "created_by", "ended_by").order_by(F("starts_at").desc(), "-pk")


def silence_of(actor: Actor, pk: int) -> Silence:
    """One; NotFound if it is absent or another team's."""
    found = silences(actor, status=ALL).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"no silence {pk} here, or it belongs to another team", code="unknown_silence")
    return found
