"""Bearer tokens: shown once, stored as a keyed hash, bound to a person, a team and scopes, revocable at once."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.crypto import salted_hmac

from mlops_site.core import events
from mlops_site.core.errors import FieldError, Invalid, NotFound, Unauthenticated
from mlops_site.core.models import Membership, Team, Token, User
from mlops_site.core.permissions import ROLE_ACTIONS, Action, Actor, require

MAX_DAYS = 365
_BAD = "the token is unknown, expired or revoked; ask for a new one with `manage.py create_token`"


def digest_of(secret: str) -> str:
    return salted_hmac("core.tokens", secret, algorithm="sha256").hexdigest()


def create_token(
    user: User, *, team: Team | None = None, scopes: Iterable[str] = (), days: int = 90, actor: Actor | None = None
) -> tuple[Token, str]:
    """A token and its text, which is not kept. Without scopes it carries all that the role allows today."""
    membership = _membership(user, team)
    allowed = ROLE_ACTIONS[membership.role]
    chosen = sorted(set(scopes)) or sorted(allowed)
    _check(chosen, allowed, membership.role, days)
    prefix, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
    with events.atomic():
        if actor is not None and actor.user != user:
            require(actor, Action.PEOPLE_MANAGE, membership.team, subject=f"user:{user.username}")
        token = Token.objects.create(
            user=user, team=membership.team, prefix=prefix, digest=digest_of(secret), scopes=chosen,
            expires_at=timezone.now() + timedelta(days=days),
        )
        events.record(
            "token.created", actor=actor or Actor.system("operator"), subject=f"token:{prefix}", team=membership.team.name,
            data={"user": user.username, "scopes": chosen, "days": days},
        )
    return token, f"stw_{prefix}_{secret}"


def revoke_token(token: Token, *, actor: Actor) -> None:
    with events.atomic():
        if actor.user != token.user:
            require(actor, Action.PEOPLE_MANAGE, token.team, subject=f"token:{token.prefix}")
        if Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            events.record("token.revoked", actor=actor, subject=f"token:{token.prefix}", team=token.team.name)


def authenticate(text: str) -> tuple[Token, Actor]:
    """The token and who bears it, by one query. Raises Unauthenticated without saying which part was wrong."""
    parts = text.split("_", 2)
    if len(parts) != 3 or parts[0] != "stw" or len(parts[1]) != 10:
        raise Unauthenticated(_BAD, code="bad_token")
    role = Membership.objects.filter(user=OuterRef("user"), team=OuterRef("team")).values("role")
    token = (
        Token.objects.usable().filter(prefix=parts[1]).select_related("user", "team").annotate(role=Subquery(role)).first()
    )
    if token is None or not hmac.compare_digest(token.digest, digest_of(parts[2])) or token.role is None:
        raise Unauthenticated(_BAD, code="bad_token")
    _touch(token)
    return token, Actor.bearing(token, token.role)


def _touch(token: Token) -> None:
    """Note the use, at most once an hour, so that a hot path does not write."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > timedelta(hours=1):
        Token.objects.filter(pk=token.pk).update(last_used_at=now)


def _membership(user: User, team: Team | None) -> Membership:
    rows = list(Membership.objects.filter(user=user, **({"team": team} if team else {})).select_related("team"))
    if not rows:
        raise NotFound(f"{user.username} is in no team{f' {team.name}' if team else ''}; add them with `manage.py create_user`")
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
