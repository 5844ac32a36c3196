"""Who is away, and who looks after what waits for them."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from mlops_site.core.errors import NotFound
from mlops_site.core.models import Membership
from mlops_site.core.permissions import Action, Actor
from registry.models import Delegation
from registry.models.approval import REVIEWING_ROLES


def delegations(actor: Actor) -> QuerySet[Delegation]:
    """Those of the teams in which the actor reviews, latest first."""
    rows = Delegation.objects.filter(team__in=actor.teams(Action.PROMOTION_REVIEW))
    return rows.select_related("team", "person", "delegate")


def delegation_numbered(actor: Actor, pk: int) -> Delegation:
    """One of them; NotFound if it is absent or another team's."""
    found = delegations(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"no delegation {pk} here, or it belongs to another team", code="unknown_delegation")
    return found


def in_force() -> QuerySet[Delegation]:
    """What holds now, where the delegate still reviews in that team."""
    roles = Membership.objects.filter(user=OuterRef("delegate"), team=OuterRef("team"), role__in=REVIEWING_ROLES)
    rows = Delegation.objects.active().filter(Exists(roles.filter(user__is_active=True)))
    return rows.select_related("team", "person", "delegate")


def handed_over(actor: Actor) -> list[Delegation]:
    """The actor is away: to whom what waits for them goes meanwhile."""
    return [] if actor.user is None else list(in_force().filter(person=actor.user))


def standing_in(actor: Actor) -> list[Delegation]:
    """The absences for which the actor stands in now."""
    return [] if actor.user is None else list(in_force().filter(delegate=actor.user))
