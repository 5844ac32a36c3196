"""What a team's channels are told beside alerts: incidents of the registry, experiments that begin to answer claims."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlops_site.core.models import User
from mlops_site.core.permissions import ROLE_ACTIONS, Action
from monitoring.channels import inbox
from monitoring.channels.routing import News, tell_news
from monitoring.choices import AlertEvent, Severity
from registry.models import Incident, RegisteredModel

CLOSING = [role for role, actions in ROLE_ACTIONS.items() if Action.INCIDENT_CLOSE in actions]


def tell_incident(incident: Incident, body: dict[str, Any]) -> None:
    """It was opened, or closed; `body` is what the operator's webhook reads of it. In the transaction of that."""
    team = incident.model.team
    phase = AlertEvent.RAISED if incident.is_open else AlertEvent.RESOLVED
    told = {**body, "detail": incident.resolution[:1000]}
    news = News(body["type"], phase, incident.subject, incident.severity, incident.model, told)
    tell_news(news, inbox.people_of(team, CLOSING))


def tell_begun(
    model: RegisteredModel, *, subject: str, severity: Severity, body: dict[str, Any], people: Iterable[User]
) -> None:
    """Something of a model began that its `people` must know."""
    news = News(body["type"], AlertEvent.RAISED, subject, severity, model, {**body, "severity": str(severity)})
    tell_news(news, User.objects.filter(pk__in=[person.pk for person in people]))
