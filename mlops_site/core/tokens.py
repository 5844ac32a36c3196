"""Bearer tokens: shown once, stored as a keyed hash, bound to a person, a team and scopes, revocable at once."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from mlops_site.core import events
from mlops_site.core.choices import Role
from mlops_site.core.errors import FieldError, Invalid, NotFound, Unauthenticated
from mlops_site.core.models import Membership, Team, Token, User
from mlops_site.core.permissions import ROLE_ACTIONS, Action, Actor, refused, require
from mlops_site.core.prepared import Prepared

MAX_DAYS = 365
NOTED_EVERY = timedelta(hours=1)
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


def prefix_of(text: str) -> str:
    """The part by which a token is found. Raises Unauthenticated for what is no token."""
    return _parts(text)["prefix"]


def columns(path: str = "") -> list[str]:
    """What `bearer` reads, of the tokens at `path`."""
    names = ("pk", "user_id", "team_id", "prefix", "digest", "scopes", "user__username", "user__memberships__role")
    return [path + name for name in names]


def usable(prefix: str, now: datetime, path: str = "") -> Q:
    """The token of that prefix at `path`, if it may be used; parameters in that order."""
    is_live = Q(**{f"{path}revoked_at": None, f"{path}user__is_active": True})
    in_team = Q(**{f"{path}user__memberships__team": F(f"{path}team")})
    return Q(**{f"{path}prefix": prefix}) & Q(**{f"{path}expires_at__gt": now}) & is_live & in_team


def is_noted(an_hour_ago: datetime, path: str = "") -> ExpressionWrapper[Q]:
    """Whether its use was noted in the last hour."""
    return ExpressionWrapper(Q(**{f"{path}last_used_at__gt": an_hour_ago}), output_field=BooleanField())


@Prepared
def _usable(an_hour_ago: datetime, prefix: str, now: datetime) -> QuerySet[Token, tuple[Any, ...]]:
    rows = Token.objects.annotate(is_noted=is_noted(an_hour_ago)).filter(usable(prefix, now))
    return rows.values_list(*columns(), "is_noted")


def authenticate(text: str) -> tuple[Token, Actor]:
    """The token and who bears it, by one query. Raises Unauthenticated without saying which part was wrong."""
    now = timezone.now()
    found = next(iter(_usable(now - NOTED_EVERY, prefix_of(text), now)), None)
    actor = bearer(text, found)
    assert found is not None
    assert actor.user is not None
    pk, user_id, team_id, prefix, digest = found[:5]
    fields = ["id", "user_id", "team_id", "prefix", "digest", "scopes"]
    token = Token.from_db(Token.objects.db, fields, [pk, user_id, team_id, prefix, digest, json.loads(found[5])])
    token.user = actor.user
    return token, actor


def bearer(text: str, found: tuple[Any, ...] | None) -> Actor:
    """Who bears the token, by the row of `columns` and `is_noted` that was found for its prefix. Raises
    Unauthenticated."""
    known = digest_of(_parts(text)["secret"])  # computed for an unknown prefix too: the answer takes as long
    if found is None or not hmac.compare_digest(str(found[4]), known):
        raise Unauthenticated(_BAD, code="bad_token")
    pk, user_id, team_id, _, _, scopes, username, role, noted = found
    if not noted:  # at most once an hour, so that a hot path does not write
        Token.objects.filter(pk=pk).update(last_used_at=timezone.now())
    user = User.from_db(User.objects.db, ["id", "username", "is_active"], [user_id, username, True])
    return Actor(name=username, user=user, roles={team_id: role}, scopes=frozenset(json.loads(scopes)), token_id=pk)


def _parts(text: str) -> re.Match[str]:
    parts = _TOKEN.fullmatch(text)
    if parts is None:
        raise Unauthenticated(_BAD, code="bad_token")
    return parts


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
