"""What people do about alerts: look at one, give it to somebody, say something, end it; one or many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, Invalid, StewardError
from mlops_site.core.models import Membership, Team, User
from mlops_site.core.permissions import ROLE_ACTIONS, Action, Actor, person, require
from monitoring import channels
from monitoring.choices import UNRESOLVED, AlertStatus
from monitoring.models import Alert
from monitoring.selectors.alerts import alert_of
from monitoring.selectors.silences import is_silenced
from monitoring.services.alerts import close, complete, locked_rows, note
from registry.services.guards import one_of, reason_given

ASSIGNED = "alert.assigned"
ACKNOWLEDGE, RESOLVE, ASSIGN = "acknowledge", "resolve", "assign"
MOST_AT_ONCE = 200


def acknowledge_alert(alert: Alert, *, actor: Actor, comment: str = "") -> Alert:
    """Say that somebody looks at it, so that it escalates no more. Conflict `wrong_state` unless it is open."""
    said = reason_given(comment, field="comment", needed=False)
    with events.atomic():
        row = row_for(alert, actor, (AlertStatus.OPEN,), "acknowledged")
        row.status, row.comment, row.escalates_at = AlertStatus.ACKNOWLEDGED, said, None
        row.acknowledged_by, row.acknowledged_at = person(actor), timezone.now()
        row.save(update_fields=["status", "comment", "acknowledged_by", "acknowledged_at", "escalates_at"])
        note(row, channels.ACKNOWLEDGED, actor, comment=said)
        channels.tell(row, channels.ACKNOWLEDGED)
    return row


def resolve_alert(alert: Alert, *, actor: Actor, comment: str = "") -> Alert:
    """Close it; the next finding opens another. Conflict `wrong_state` if it is closed already."""
    said = reason_given(comment, field="comment", needed=False)
    with events.atomic():
        row = row_for(alert, actor, UNRESOLVED, "resolved")
        person(actor)
        close(row, actor, said)
    return row


def assign_alert(alert: Alert, *, actor: Actor, assignee: str | None, comment: str = "") -> Alert:
    """Give it to a person of the team who may handle it, or with None to nobody. It escalates until that person
    acknowledges it. Invalid `unknown_assignee`; Conflict `wrong_state` if it is resolved."""
    said = reason_given(comment, field="comment", needed=False)
    with events.atomic():
        row = row_for(alert, actor, UNRESOLVED, "assigned")
        chosen = _handler(row.model.team, assignee) if assignee else None
        if row.assignee_id == (chosen.pk if chosen else None):
            return row
        row.assignee = chosen
        row.save(update_fields=["assignee"])
        note(row, ASSIGNED, actor, assignee=chosen.username if chosen else None, comment=said)
        if chosen and not is_silenced(row):
            channels.tell(row, ASSIGNED)
    return row


def handlers(team: Team) -> list[str]:
    """The names of those who can be given an alert of the team."""
    roles = [role for role, actions in ROLE_ACTIONS.items() if Action.ALERT_HANDLE in actions]
    rows = Membership.objects.filter(team=team, user__is_active=True, role__in=roles)
    return sorted(rows.values_list("user__username", flat=True))


def _handler(team: Team, name: str) -> User:
    if name not in handlers(team):
        message = f"assignee must be somebody in team {team.name} who may handle alerts but got {name[:80]!r}"
        raise Invalid.on("assignee", message, code="unknown_assignee")
    return User.objects.get(username=name)


def comment_alert(alert: Alert, *, actor: Actor, comment: str) -> Alert:
    """Add a remark to what is known of it, also after its end."""
    said = reason_given(comment, field="comment")
    with events.atomic():
        row = row_for(alert, actor, tuple(AlertStatus), "remarked on")
        person(actor)
        note(row, "alert.commented", actor, comment=said)
    return row


class Handled(NamedTuple):
    """Of several alerts: those that were done, and why others were not, as (id, code, sentence)."""

    done: list[UUID]
    refused: list[tuple[UUID, str, str]]


def handle_alerts(
    ids: Sequence[UUID], *, actor: Actor, deed: str, comment: str = "", assignee: str | None = None
) -> Handled:
    """Acknowledge, resolve or assign up to 200 alerts, each by itself: what stands against one stops no other.
    Invalid `unknown_deed`, `out_of_range`."""
    one_of("deed", deed, [ACKNOWLEDGE, RESOLVE, ASSIGN])
    if not 1 <= len(ids) <= MOST_AT_ONCE:
        message = f"ids must name 1 to {MOST_AT_ONCE} alerts but names {len(ids)}"
        raise Invalid.on("ids", message, code="out_of_range")
    reason_given(comment, field="comment", needed=False)
    done, refused = list[UUID](), list[tuple[UUID, str, str]]()
    for pk in dict.fromkeys(ids):
        try:
            _handle(alert_of(actor, pk), actor=actor, deed=deed, comment=comment, assignee=assignee)
            done.append(pk)
        except StewardError as error:
            refused.append((pk, error.code, error.detail))
    return Handled(done, refused)


def _handle(alert: Alert, *, actor: Actor, deed: str, comment: str, assignee: str | None) -> None:
    if deed == ACKNOWLEDGE:
        acknowledge_alert(alert, actor=actor, comment=comment)
    elif deed == RESOLVE:
        resolve_alert(alert, actor=actor, comment=comment)
    else:
        assign_alert(alert, actor=actor, assignee=assignee, comment=comment)


def row_for(alert: Alert, actor: Actor, states: tuple[Any, ...], done: str) -> Alert:
    """The alert as it is now, locked, for who may handle it."""
    require(actor, Action.ALERT_HANDLE, alert.model.team, subject=alert.subject)
    row = complete(locked_rows()).get(pk=alert.pk)
    if row.status not in states:
        message = f"the alert is {row.get_status_display()}; only one that is {' or '.join(states)} can be {done}"
        raise Conflict(message, code="wrong_state")
    return row
