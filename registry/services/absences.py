"""Delegations for an absence. They move notices and the queue, never a right."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.models import Membership, Team, User
from mlops_site.core.permissions import Action, Actor, person, refused, require
from registry.models import Delegation
from registry.services.guards import reason_given

LONGEST = timedelta(days=90)
FURTHEST = timedelta(days=366)


def delegate_reviews(
    *, actor: Actor, team: Team, delegate: str, starts_at: datetime, ends_at: datetime, reason: str = ""
) -> Delegation:
    """While the actor is away, show and tell what waits for them to somebody of the same role in the team. Who
    decides is still judged by what they are and did themselves.

    Invalid `unknown_person` (also: of another team), `not_eligible`, `oneself`, `out_of_range`; Conflict
    `already_delegated`; Forbidden unless the actor reviews promotions.
    """
    said = reason_given(reason, needed=False)
    with events.atomic():
        require(actor, Action.PROMOTION_REVIEW, team, subject=f"team:{team.name}")
        me = person(actor)
        # the row that two delegations of one person at the same moment wait for
        if not Membership.objects.select_for_update(no_key=True).filter(user=me, team=team).first():
            detail, about = f"{actor.name} has just left {team.name}", f"team:{team.name}"
            raise refused(actor, detail, action="delegation.make", subject=about, team=team)
        to = _delegate(me, team, delegate, actor.roles[team.pk])
        _check_span(starts_at, ends_at)
        _check_free(me, team, starts_at, ends_at)
        span = {"starts_at": starts_at, "ends_at": ends_at}
        row = Delegation.objects.create(team=team, person=me, delegate=to, reason=said, **span)
        data = {"delegate": to.username, "from": starts_at.isoformat(), "to": ends_at.isoformat(), "reason": said}
        events.record("delegation.made", actor=actor, subject=row.subject, team=team.name, data=data)
    return row


def end_delegation(delegation: Delegation, *, actor: Actor) -> Delegation:
    """Back early: taken back by the one who made it. Conflict `wrong_state` once it is over."""
    with events.atomic():
        row = Delegation.objects.select_for_update(of=("self",)).select_related("team", "person", "delegate")
        found = row.get(pk=delegation.pk)
        require(actor, Action.PROMOTION_REVIEW, found.team, subject=found.subject)
        if found.person_id != person(actor).pk:
            detail = f"only {found.person.username}, who made it, may end this delegation"
            raise refused(actor, detail, action="delegation.end", subject=found.subject, team=found.team)
        if found.ended_at is not None or found.ends_at <= timezone.now():
            raise Conflict("the delegation is over already", code="wrong_state")
        found.ended_at = timezone.now()
        found.save(update_fields=["ended_at"])
        events.record("delegation.ended", actor=actor, subject=found.subject, team=found.team.name)
    return found


def _delegate(me: User, team: Team, name: str, role: str) -> User:
    if name == me.username:
        raise Invalid.on("delegate", "delegate must be somebody else but names yourself", code="oneself")
    rows = Membership.objects.filter(team=team, user__username=name, user__is_active=True).select_related("user")
    found = rows.first()
    if found is None:
        message = f"delegate must be a person of team {team.name} but got {name[:80]!r}"
        raise Invalid.on("delegate", message, code="unknown_person")
    if found.role != role:
        message = f"delegate must be {role} of team {team.name} like you, but {name} is {found.role} there"
        raise Invalid.on("delegate", message, code="not_eligible")
    return found.user


def _check_span(starts_at: datetime, ends_at: datetime) -> None:
    now = timezone.now()
    if ends_at <= max(starts_at, now):
        message = f"ends_at must be after starts_at and after now but got {ends_at.isoformat()}"
        raise Invalid.on("ends_at", message, code="out_of_range")
    if ends_at - starts_at > LONGEST or starts_at < now - timedelta(days=1) or starts_at > now + FURTHEST:
        message = f"a delegation begins from today to a year on and lasts at most {LONGEST.days} days"
        raise Invalid.on("starts_at", f"{message} but got {starts_at.isoformat()}", code="out_of_range")


def _check_free(me: User, team: Team, starts_at: datetime, ends_at: datetime) -> None:
    mine = Delegation.objects.filter(person=me, team=team, ended_at=None)
    if (other := mine.filter(starts_at__lt=ends_at, ends_at__gt=starts_at).first()) is not None:
        message = f"{other.delegate} stands in for you from {other.starts_at:%d %b} to {other.ends_at:%d %b} already"
        raise Conflict(message, code="already_delegated")
