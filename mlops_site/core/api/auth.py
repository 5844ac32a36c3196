"""Bearer tokens for DRF, and the actor of a request."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from mlops_site.core import tokens
from mlops_site.core.errors import Unauthenticated
from mlops_site.core.models import Token, User
from mlops_site.core.permissions import Actor


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer stw_…`. Anything else is left to the next scheme."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        text = bearer_of(request)
        if text is None:
            return None
        plain: Any = request._request
        if not hasattr(plain, "bearer"):  # a request with an Idempotency-Key is looked at twice
            plain.bearer, plain.actor = tokens.authenticate(text)
        token: Token = plain.bearer
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def bearer_of(request: HttpRequest | Request) -> str | None:
    """The token text of the Authorization header, or None when it carries no bearer token."""
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


def actor_of_plain(request: HttpRequest) -> Actor:
    """Who acts in a view without DRF (and exempt from Django's CSRF check): by token, or by session with CSRF token."""
    plain: Any = request
    if (text := bearer_of(request)) is not None:
        plain.bearer, plain.actor = tokens.authenticate(text)
        return actor_of(request)
    actor = actor_of(request)
    SessionAuthentication().enforce_csrf(plain)
    return actor


def actor_of(request: Request | HttpRequest) -> Actor:
    """Who acts in this request: the bearer of the token, or the person of the session."""
    plain: Any = request._request if isinstance(request, Request) else request
    if not hasattr(plain, "actor"):
        user = request.user
        if not isinstance(user, User):
            raise Unauthenticated("log in or send a bearer token")
        plain.actor = Actor.of(user)
    actor: Actor = plain.actor
    return actor
