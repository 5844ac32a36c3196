"""Who is told of a request: those who may decide it, or who stands in for them."""

from __future__ import annotations

from typing import NamedTuple

from mlops_site.core.models import Membership, User
from mlops_site.core.permissions import Actor
from registry.models import PromotionRequest
from registry.models.approval import REVIEWING_ROLES
from registry.selectors.absences import in_force
from registry.selectors.approvals import decidable


class Told(NamedTuple):
    """Somebody to tell, and for whom they stand in."""

    person: User
    on_behalf_of: User | None = None


def reviewers(request: PromotionRequest) -> list[Told]:
    """By name. Nobody is told who may not decide it; what a delegate may not decide stays with the one away."""
    team = request.model.team
    rows = Membership.objects.filter(team=team, role__in=REVIEWING_ROLES, user__is_active=True).select_related("user")
    able = {row.user_id: row.user for row in rows if _may(request, row)}
    away = {row.person_id: row.delegate_id for row in in_force().filter(team=team).order_by("pk")}
    told: dict[int, Told] = {}
    for pk, person in sorted(able.items(), key=lambda item: item[1].username):
        to = _followed(pk, away, able)
        if to != pk:
            told[to] = Told(able[to], person)
        else:
            told.setdefault(pk, Told(person))
    return sorted(told.values(), key=lambda each: each.person.username)


def _may(request: PromotionRequest, membership: Membership) -> bool:
    user = membership.user
    return decidable(request, Actor(user.username, user, {membership.team_id: membership.role})).may


def _followed(pk: int, away: dict[int, int], able: dict[int, User]) -> int:
    """From delegate to delegate, as long as they may decide; whoever comes round to themselves stays."""
    seen, now = {pk}, pk
    while (to := away.get(now)) is not None and to in able:
        if to in seen:
            return pk
        seen.add(to)
        now = to
    return now
