"""Bearer tokens: shown once, stored as a keyed hash, bound to a person, a team and scopes, revocable at once."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.crypto import salted_hmac

from mlops_site.core import events
from mlops_site.core.choices import Role
from mlops_site.core.errors import FieldError, Invalid, NotFound, Unauthenticated
from mlops_site.core.models import Membership, Team, Token, User
from mlops_site.core.permissions import ROLE_ACTIONS, Action, Actor, refused, require

MAX_DAYS = 365
_TOKEN = re.compile(r"stw_(?P<prefix>[0-9a-f]{10})_(?P<secret>[A-Za-z0-9_-]{43})")
_BAD = "the token is unknown, expired or revoked; ask for a new one with `manage.py create_token`"


def digest_of(secret: str) -> str:
    return salted_hmac("core.tokens", secret, algorithm="sha256").hexdigest()


def create_token(
    user: User, *, team: Team | None = None, scopes: Iterable[str] = (), days: int = 90, actor: Actor | None = None
) -> tuple[Token, str]:
    """A token and its text, which is not kept. Without scopes it carries all that the role allows today."""
    membership = _membership(user, team)
    allowed = ROLE_ACTIONS[membership.role]
    if actor is not None and actor.scopes is not None:
        allowed &= actor.scopes  # whoever bears a narrow token does not widen it by making another
    chosen = sorted(set(scopes)) or sorted(allowed)
    _check(chosen, allowed, membership.role, days)
    prefix, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
    with events.atomic():
        _require_own(actor, membership)
        token = Token.objects.create(
            user=user,
            team=membership.team,
            prefix=prefix,
            digest=digest_of(secret),
            scopes=chosen,
            expires_at=timezone.now() + timedelta(days=days),
        )
        events.record(
            "token.created",
            actor=actor or Actor.system("operator"),
            subject=f"token:{prefix}",
            team=membership.team.name,
            data={"user": user.username, "scopes": chosen, "days": days},
        )
    return token, f"stw_{prefix}_{secret}"


def revoke_token(token: Token, *, actor: Actor) -> None:
    with events.atomic():
        if actor.user != token.user:
            require(actor, Action.PEOPLE_MANAGE, token.team, subject=f"token:{token.prefix}")
        if Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            events.record("token.revoked", actor=actor, subject=f"token:{token.prefix}", team=token.team.name)


def _require_own(actor: Actor | None, membership: Membership) -> None:
    """People make their own tokens, an admin those of machines, the operator (no actor) all. An admin who could make
    an approver's token would be an approver."""
    if actor is None or (actor.user == membership.user and membership.team_id in actor.roles):
        return
    subject = f"user:{membership.user.username}"
    require(actor, Action.PEOPLE_MANAGE, membership.team, subject=subject)
    if membership.role != Role.SERVICE:
        raise refused(
            actor,
            f"{membership.user.username} is a person and makes their own tokens; admins make those of machines",
            action=Action.PEOPLE_MANAGE,
            subject=subject,
            team=membership.team,
        )


def authenticate(text: str) -> tuple[Token, Actor]:
    """The token and who bears it, by one query. Raises Unauthenticated without saying which part was wrong."""
    parts = _TOKEN.fullmatch(text)
    if parts is None:
        raise Unauthenticated(_BAD, code="bad_token")
    role = Membership.objects.filter(user=OuterRef("user"), team=OuterRef("team")).values("role")
    token = (
        Token.objects.usable()
        .filter(prefix=parts["prefix"])
        .select_related("user", "team")
        .annotate(role=Subquery(role))
        .first()
    )
    known = digest_of(parts["secret"])  # computed for an unknown prefix too: the answer takes as long
    held: str | None = getattr(token, "role", None)
    if token is None or not hmac.compare_digest(token.digest, known) or held is None:
        raise Unauthenticated(_BAD, code="bad_token")
    _touch(token)
    return token, Actor.bearing(token, held)


def _touch(token: Token) -> None:
    """Note the use, at most once an hour, so that a hot path does not write."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > timedelta(hours=1):
        Token.objects.filter(pk=token.pk).update(last_used_at=now)


def _membership(user: User, team: Team | None) -> Membership:
    rows = list(Membership.objects.filter(user=user, **({"team": team} if team else {})).select_related("team"))
    if not rows:
        where = f"not in team {team.name}" if team else "in no team"
        raise NotFound(f"{user.username} is {where}; add them with `manage.py create_user`")
    if len(rows) > 1:
        names = ", ".join(sorted(row.team.name for row in rows))
        raise Invalid(f"team must be given; {user.username} is in {names}", code="unknown_team")
    return rows[0]


def _check(scopes: list[str], allowed: frozenset[Action], role: str, days: int) -> None:
    beyond = [scope for scope in scopes if scope not in allowed]
    if beyond:
        message = f"scope {beyond[0][:80]!r} is not among those of {role}: {', '.join(sorted(allowed))}"
        raise Invalid(message, code="bad_scope", errors=[FieldError("scopes", "bad_scope", message)])
    if not 1 <= days <= MAX_DAYS:
        message = f"days must be from 1 to {MAX_DAYS} but got {days}"
        raise Invalid(message, errors=[FieldError("days", "out_of_range", message)])
