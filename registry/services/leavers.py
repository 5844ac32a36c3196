"""What a person leaves behind who loses a role: their open requests are closed, their open reviews void."""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.models import Team, User
from mlops_site.core.permissions import ROLE_ACTIONS, Action, Actor
from registry.choices import RequestStatus
from registry.models import Delegation, PromotionRequest, RegisteredModel, Review
from registry.services.approvals import close_request
from registry.services.guards import locked
from registry.services.voiding import void_reviews


def close_for_leaver(user: User, *, team: Team, role: str | None, actor: Actor) -> None:
    """In the transaction that ended the role. `role` is what the person is now, None where they have left."""
    waiting = PromotionRequest.objects.filter(model__team=team, status=RequestStatus.PENDING)
    own = Q() if _may_request(role) else Q(requester=user)
    held = Q(reviews__reviewer=user, reviews__voided_at=None)
    found = waiting.filter(held if _may_request(role) else own | held)
    # in one order everywhere, so that two who lock several models wait for each other and never in a circle
    for model in RegisteredModel.objects.filter(pk__in=found.values("model")).order_by("pk"):
        with locked(model):
            _close(user, model, role, actor)
    _end_delegations(user, team, actor)


def _may_request(role: str | None) -> bool:
    return role is not None and Action.PROMOTION_REQUEST in ROLE_ACTIONS[role]


def _close(user: User, model: RegisteredModel, role: str | None, actor: Actor) -> None:
    why = f"{user.username} is {role} now" if role else f"{user.username} has left the team"
    waiting = PromotionRequest.objects.filter(model=model, status=RequestStatus.PENDING)
    given = Review.objects.filter(request__in=waiting, reviewer=user)
    void_reviews(given.exclude(role=role) if role else given, actor=actor, why=why)
    if not _may_request(role):
        for request in waiting.filter(requester=user).select_related("model__team", "version__model").order_by("pk"):
            close_request(request, actor=actor, status=RequestStatus.VOID, comment=why)


def _end_delegations(user: User, team: Team, actor: Actor) -> None:
    """Of both sides; what a new role of theirs may cover is said anew."""
    rows = Delegation.objects.filter(Q(person=user) | Q(delegate=user), team=team, ended_at=None)
    for row in rows.filter(ends_at__gt=timezone.now()).order_by("pk"):
        Delegation.objects.filter(pk=row.pk, ended_at=None).update(ended_at=timezone.now())
        events.record("delegation.ended", actor=actor, subject=row.subject, team=team.name, data={"by": "leaving"})
