"""Teams and the people in them."""

from __future__ import annotations

import re
import secrets

from mlops_site.core import events, signals
from mlops_site.core.choices import Role
from mlops_site.core.errors import Conflict, FieldError, Invalid, NotFound
from mlops_site.core.models import Membership, Team, User
from mlops_site.core.models.people import TEAM_NAME
from mlops_site.core.permissions import Action, Actor, refused, require


def create_user(name: str, *, role: str, team: str, actor: Actor | None = None) -> tuple[User, str]:
    """A person with a role in a team (made if it is new) and a one-time password. Without an actor it is the
    operator at the command line; with one, an admin of that team.

    An existing person gets the role in the team; the password is then empty, because theirs stays."""
    _check(name, role, team)
    with events.atomic():
        found, is_new_team = Team.objects.get_or_create(name=team)
        if actor is not None:
            _require_other(actor, found, name)
        user, is_new = User.objects.get_or_create(username=name, defaults={"is_staff": role != Role.SERVICE})
        password = "" if not is_new or role == Role.SERVICE else secrets.token_urlsafe(15)
        if is_new:
            user.set_password(password or None)
            user.save(update_fields=["password"])
        before = Membership.objects.filter(user=user, team=found).values_list("role", flat=True).first()
        Membership.objects.update_or_create(user=user, team=found, defaults={"role": role})
        by = actor or Actor.system("operator")
        if before not in (None, role):
            signals.role_ended.send(sender=Membership, user=user, team=found, role=role, actor=by)
        if is_new_team:
            events.record("team.created", actor=by, subject=f"team:{team}", team=team)
        events.record("member.set", actor=by, subject=f"user:{name}", team=team, data={"role": role, "new": is_new})
    return user, password


def remove_member(user: User, *, team: Team, actor: Actor) -> None:
    """Take a person out of a team: roles and tokens there end at once."""
    with events.atomic():
        require(actor, Action.PEOPLE_MANAGE, team, subject=f"user:{user.username}")
        if Membership.objects.filter(user=user, team=team).delete()[0]:
            events.record("member.removed", actor=actor, subject=f"user:{user.username}", team=team.name)
            signals.role_ended.send(sender=Membership, user=user, team=team, role=None, actor=actor)


def deactivate_user(user: User, *, actor: Actor | None = None) -> None:
    """Let a person in no more, by password or token; what they did stays theirs. Without an actor it is the operator
    at the command line; with one, an admin of every team that the person is in."""
    with events.atomic():
        held = list(Membership.objects.filter(user=user).select_related("team").order_by("team"))
        for membership in held:
            if actor is not None:
                _require_other(actor, membership.team, user.username)
        if actor is not None and not held:
            raise NotFound(f"{user.username} is in no team of yours")
        if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
            raise Conflict(f"{user.username} is deactivated already", code="wrong_state")
        by = actor or Actor.system("operator")
        for membership in held:
            team = membership.team
            events.record("user.deactivated", actor=by, subject=f"user:{user.username}", team=team.name)
            signals.role_ended.send(sender=Membership, user=user, team=team, role=None, actor=by)


def _require_other(actor: Actor, team: Team, name: str) -> None:
    """Admins set the roles of others: one who could set their own would approve what admins must not."""
    require(actor, Action.PEOPLE_MANAGE, team, subject=f"user:{name}")
    if actor.user is not None and actor.user.username == name:
        detail = f"{name} cannot set their own role; another admin or the operator can"
        raise refused(actor, detail, action=Action.PEOPLE_MANAGE, subject=f"user:{name}", team=team, code="four_eyes")


def _check(name: str, role: str, team: str) -> None:
    problems = []
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,149}", name):
        problems.append(FieldError("name", "bad_name", f"name must be letters, digits and ._@+- but got {name[:80]!r}"))
    if role not in Role.values:
        problems.append(
            FieldError("role", "unknown_role", f"role must be one of {', '.join(Role.values)} but got {role[:80]!r}")
        )
    if not re.fullmatch(TEAM_NAME, team):
        problems.append(FieldError("team", "bad_name", f"team must match {TEAM_NAME} but got {team[:80]!r}"))
    if problems:
        raise Invalid(problems[0].message, errors=problems)
