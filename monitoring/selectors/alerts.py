"""Alerts, and what became of them."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from mlops_site.core.errors import NotFound
from mlops_site.core.models import Delivery
from mlops_site.core.permissions import Actor, visible
from mlops_site.core.prepared import PreparedObjects
from monitoring.choices import UNRESOLVED, AlertStatus, Severity
from monitoring.models import Alert, Message, RetrainDecision
from registry.models import RegisteredModel
from registry.services.guards import one_of

ALL = "all"
_HEAVY = ("version__reference", "version__golden", "version__signature")
_WORST_FIRST = Case(*(When(severity=level, then=Value(rank)) for rank, level in enumerate(Severity)))


def alerts(actor: Actor, *, status: str = "", severity: str = "", model: str = "") -> QuerySet[Alert]:
    """The alerts that the actor may see, worst first, then latest; with an empty status those that are not resolved.
    A model that is not there has none."""
    rows = visible(actor, Alert.objects.all(), team="model__team")
    if not status:
        rows = rows.filter(status__in=UNRESOLVED)
    elif one_of("status", status, [*AlertStatus.values, ALL]) != ALL:
        rows = rows.filter(status=status)
    if severity:
        rows = rows.filter(severity=one_of("severity", severity, list(Severity.values)))
    if model:
        rows = rows.filter(model__name=model)
    return _complete(rows).order_by(_WORST_FIRST, "-last_seen_at", "-pk")


def open_alerts(model: RegisteredModel) -> list[Alert]:
    """The unresolved ones of a model that the actor sees, worst first, then latest."""
    rank = list(Severity.values).index
    return sorted(_unresolved(model.pk), key=lambda alert: rank(alert.severity))


def has_open_alerts() -> Exists:
    """Of a model in a statement, whether it has any."""
    return Exists(Alert.objects.filter(model=OuterRef("pk"), status__in=UNRESOLVED))


@PreparedObjects
def _unresolved(model: int) -> QuerySet[Alert]:
    rows = Alert.objects.filter(model=model).filter(status__in=UNRESOLVED)
    return rows.defer("evidence").order_by("-last_seen_at", "-pk")


def alert_of(actor: Actor, alert_id: UUID) -> Alert:
    """One alert; NotFound if it is absent or another team's."""
    rows = _complete(visible(actor, Alert.objects.filter(pk=alert_id), team="model__team"))
    found = rows.select_related("report").defer("report__body", "report__findings", *_HEAVY).first()
    if found is None:
        raise NotFound(f"no alert {alert_id} here, or it belongs to another team", code="unknown_alert")
    return found


def _complete(rows: QuerySet[Alert]) -> QuerySet[Alert]:
    chosen = rows.select_related("model__team", "version__model", "acknowledged_by", "resolved_by")
    return chosen.defer(*_HEAVY)


def open_count(actor: Actor) -> int:
    """How many alerts of the actor's teams nobody has looked at yet."""
    return visible(actor, Alert.objects.filter(status=AlertStatus.OPEN), team="model__team").count()


def is_silenced(alert: Alert) -> bool:
    """A silence belongs to what the alert is about: it outlives the alert that it was set on."""
    about = {"model": alert.model_id, "rule": alert.rule, "subject_key": alert.subject_key}
    return Alert.objects.filter(**about, silenced_until__gt=timezone.now()).exists()


def deliveries(alert: Alert) -> QuerySet[Delivery]:
    """What was told of it outside, by itself or in a digest, oldest first. A person's own letters are not in it."""
    told = Q(subject=alert.subject) | Q(pk__in=Message.objects.filter(alert=alert).values("delivery"))
    return Delivery.objects.filter(told).exclude(channel__startswith="mail:").order_by("created_at")


def consequences(alert: Alert) -> QuerySet[RetrainDecision]:
    """What it led to, latest first."""
    return alert.decisions.select_related("decided_by").order_by("-decided_at")
