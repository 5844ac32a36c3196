"""Alerts, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Value, When

from mlops_site.core.errors import Invalid, NotFound
from mlops_site.core.models import AuditRecord, Delivery
from mlops_site.core.permissions import Actor, visible
from mlops_site.core.prepared import PreparedObjects
from monitoring.choices import UNRESOLVED, AlertStatus, Rule, Severity
from monitoring.models import Alert, Message, RetrainDecision
from monitoring.selectors.silences import has_silence, silence_end
from registry.models import RegisteredModel
from registry.services.guards import one_of

ALL = "all"
ME, NOBODY = "me", "nobody"
_HEAVY = ("version__reference", "version__golden", "version__signature")
_WORST_FIRST = Case(*(When(severity=level, then=Value(rank)) for rank, level in enumerate(Severity)))


def alerts(
    actor: Actor,
    *,
    status: str = "",
    severity: str = "",
    model: str = "",
    rule: str = "",
    assignee: str = "",
    group: str = "",
    silenced: bool = True,
) -> QuerySet[Alert]:
    """The alerts that the actor may see, worst first, then latest; with an empty status those that are not resolved.
    `assignee` is a name, `me` or `nobody`; without `silenced` those that are silent now are left out. A model, a person
    or a group that is not there has none. Each has `silenced_until`."""
    rows = visible(actor, Alert.objects.all(), team="model__team")
    if not status:
        rows = rows.filter(status__in=UNRESOLVED)
    elif one_of("status", status, [*AlertStatus.values, ALL]) != ALL:
        rows = rows.filter(status=status)
    if severity:
        rows = rows.filter(severity=one_of("severity", severity, list(Severity.values)))
    if rule:
        rows = rows.filter(rule=one_of("rule", rule, list(Rule.values)))
    if model:
        rows = rows.filter(model__name=model)
    if assignee:
        name = actor.name if assignee == ME else assignee
        rows = rows.filter(assignee=None) if assignee == NOBODY else rows.filter(assignee__username=name)
    if not silenced:
        rows = rows.filter(~has_silence())
    if group:
        rows = rows.filter(group_key=_uuid(group))
    return _complete(rows).order_by(_WORST_FIRST, "-last_seen_at", "-pk")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        message = f"group must be the id of a group but got {text[:80]!r}"
        raise Invalid.on("group", message, code="unknown_group") from error


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
    reports = ("report", "first_report", "resolved_report")
    rows = rows.select_related(*reports)
    bodies = [f"{name}__{part}" for name in reports for part in ("body", "findings")]
    found = rows.defer(*bodies, *_HEAVY).first()
    if found is None:
        raise NotFound(f"no alert {alert_id} here, or it belongs to another team", code="unknown_alert")
    return found


def _complete(rows: QuerySet[Alert]) -> QuerySet[Alert]:
    chosen = rows.select_related("model__team", "version__model", "acknowledged_by", "resolved_by", "assignee")
    silenced = {"silenced_until": silence_end()}  # the attribute that the model declares
    return chosen.annotate(**silenced).defer(*_HEAVY)


def assignees(actor: Actor) -> list[str]:
    """Who has an alert that is not resolved, by name, of those that the actor sees."""
    rows = visible(actor, Alert.objects.filter(status__in=UNRESOLVED), team="model__team").exclude(assignee=None)
    return list(rows.order_by("assignee__username").values_list("assignee__username", flat=True).distinct())


def open_count(actor: Actor) -> int:
    """How many alerts of the actor's teams nobody has looked at yet."""
    return visible(actor, Alert.objects.filter(status=AlertStatus.OPEN), team="model__team").count()


class Counted(NamedTuple):
    """Unresolved alerts of a severity: how many nobody looks at, and how many somebody does."""

    severity: Severity
    open: int
    acknowledged: int

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(severity, status) of each alert."""
        seen = [AlertStatus.OPEN] * self.open + [AlertStatus.ACKNOWLEDGED] * self.acknowledged
        return [(self.severity.value, status.value) for status in seen]


def counts(actor: Actor, *, model: str = "") -> list[Counted]:
    """The unresolved alerts that the actor may see by severity, the worst first; one query."""
    rows = visible(actor, Alert.objects.filter(status__in=UNRESOLVED), team="model__team")
    if model:
        rows = rows.filter(model__name=model)
    by = {(s, status): n for s, status, n in rows.order_by().values_list("severity", "status").annotate(n=Count("pk"))}
    each = [(level, *(by.get((level.value, status.value), 0) for status in UNRESOLVED)) for level in Severity]
    return [Counted(level, opened, seen) for level, opened, seen in each]


def group_of(alert: Alert) -> list[Alert]:
    """The other alerts of its group, the first seen first: what began together has, most likely, one cause."""
    if alert.group_key is None:
        return []
    rows = Alert.objects.filter(group_key=alert.group_key, model=alert.model_id).exclude(pk=alert.pk)
    return list(rows.defer("evidence").order_by("first_seen_at", "pk"))


def earlier(alert: Alert) -> Alert | None:
    """The last alert on the same that was over before this one began: it has come back."""
    about = {"model": alert.model_id, "rule": alert.rule, "subject_key": alert.subject_key}
    rows = Alert.objects.filter(**about, resolved_at__lte=alert.first_seen_at).exclude(pk=alert.pk)
    return rows.defer("evidence").select_related("resolved_by").order_by("-resolved_at").first()


def deliveries(alert: Alert) -> QuerySet[Delivery]:
    """What was told of it outside, by itself or in a digest, oldest first. A person's own letters are not in it."""
    told = Q(subject=alert.subject) | Q(pk__in=Message.objects.filter(alert=alert).values("delivery"))
    return Delivery.objects.filter(told).exclude(channel__startswith="mail:").order_by("created_at")


def consequences(alert: Alert) -> QuerySet[RetrainDecision]:
    """What it led to, latest first."""
    return alert.decisions.select_related("decided_by").order_by("-decided_at")


def happened(alert: Alert) -> QuerySet[AuditRecord]:
    """What happened to it, oldest first, from the audit chain."""
    return AuditRecord.objects.filter(subject=alert.subject).exclude(action__endswith=".refused").order_by("seq")


def between(model: RegisteredModel, start: datetime, end: datetime, rules: Iterable[str] = ()) -> QuerySet[Alert]:
    """The model's alerts that were unresolved at some time in [start, end), the first seen first: its timeline."""
    rows = Alert.objects.filter(Q(resolved_at=None) | Q(resolved_at__gte=start), model=model, first_seen_at__lt=end)
    if chosen := list(rules):
        rows = rows.filter(rule__in=chosen)
    return rows.defer("evidence").select_related("assignee", "resolved_by").order_by("first_seen_at", "pk")
