"""The inboxes of the team's people: in the same database, so there is nothing on its way and nothing to try again."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from mlops_site.core.choices import DeliveryState, Role
from mlops_site.core.errors import Invalid
from mlops_site.core.inbox import Note, tell
from mlops_site.core.models import Delivery, Membership, Team, User
from mlops_site.core.permissions import ROLE_ACTIONS, Action
from mlops_site.core.seals import unseal
from monitoring.channels.wording import said, title_of
from monitoring.models import Channel

HANDLING = [role for role, actions in ROLE_ACTIONS.items() if Action.ALERT_HANDLE in actions]
MAX_NAMES = 50


def checked(address: str, team: Team) -> str:
    """Names of people of the team or of roles, parted by commas; none is everybody who may handle alerts."""
    names = _names(address)
    known = set(people_of(team).values_list("username", flat=True)) | set(Role.values)
    unknown = sorted(set(names) - known)
    if unknown:
        message = (
            f"address must name people of {team} or roles ({', '.join(HANDLING)}, ...) but got {unknown[0][:80]!r}"
        )
        raise Invalid.on("address", message, code="unknown_person")
    if len(names) > MAX_NAMES:
        message = f"address must name at most {MAX_NAMES} people or roles but names {len(names)}"
        raise Invalid.on("address", message, code="too_many")
    return ", ".join(names)[:300] or "everybody who may handle alerts"


def deliver(channel: Channel, body: dict[str, Any], about: dict[str, Any]) -> Delivery:
    """The lines, and a delivery that has arrived, for the log."""
    names = _names(unseal(channel.address)) if channel.address else []
    people = people_of(channel.team, names) if names else handlers(channel.team)
    tell(people, note(body, about["subject"]), team=channel.team)
    now = {"state": DeliveryState.DELIVERED, "delivered_at": timezone.now(), "attempts": 1}
    return Delivery.objects.create(**about, body=body, **now)


def note(body: dict[str, Any], subject: str) -> Note:
    """As it stands in an inbox."""
    told = said(body)
    text = told[0].text if len(told) == 1 else "\n".join(each.heading for each in told)
    severity, path = told[0].severity, told[0].path if len(told) == 1 else "/alerts"
    return Note(str(body["type"]), subject, title_of(body), text[:1000], severity, path)


def handlers(team: Team) -> QuerySet[User]:
    return people_of(team, HANDLING)


def people_of(team: Team, names: list[str] | None = None) -> QuerySet[User]:
    """The team's people, machines left out; of `names` those with one of the names or roles."""
    rows = Membership.objects.filter(team=team).exclude(role=Role.SERVICE)
    if names is not None:
        rows = rows.filter(Q(role__in=names) | Q(user__username__in=names))
    return User.objects.filter(pk__in=rows.values("user"), is_active=True)


def _names(address: str) -> list[str]:
    return [name.strip() for name in address.split(",") if name.strip()]
