"""What every service of the registry does first: take the model's lock, check the words that it was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.choices import Role
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.models import Membership, Team, User
from mlops_site.core.prepared import PreparedObjects
from mlops_site.core.texts import unseen
from registry.models import RegisteredModel

MAX_REASON = 2000


@contextmanager
def locked(model: RegisteredModel) -> Iterator[RegisteredModel]:
    """`events.atomic` with the model's row locked first, so that its writers follow one another.

    A law that only a race can reach is a Conflict: whoever came second looks again.
    """
    try:
        with events.atomic():
            (row,) = _taken(model.pk)
            yield row
    except IntegrityError as error:
        said = str(error).splitlines()[0][:300]
        raise Conflict(
            f"{model.name} was changed meanwhile, or a law forbids this: {said}", code="refused_by_law"
        ) from error


@PreparedObjects
def _taken(model: int) -> QuerySet[RegisteredModel]:
    # FOR NO KEY UPDATE: a plain FOR UPDATE would hold up every prediction row that names the model.
    rows = RegisteredModel.objects.select_for_update(no_key=True, of=("self",)).select_related("team")
    return rows.filter(pk=model)


def touch(model: RegisteredModel) -> None:
    model.updated_at = timezone.now()
    model.save(update_fields=["updated_at"])


def check_live(model: RegisteredModel) -> None:
    """Conflict `model_archived` for what an archived model does not take; the database refuses it as well."""
    if model.archived_at is not None:
        message = f"{model} was archived on {model.archived_at:%Y-%m-%d}; restore it first"
        raise Conflict(message, code="model_archived")


def owner_named(team: Team, name: str) -> User:
    """A person of the team who can still sign in; Invalid `unknown_owner`. A machine owns nothing."""
    members = Membership.objects.filter(team=team, user__username=name, user__is_active=True)
    found = members.exclude(role=Role.SERVICE).select_related("user").first()
    if found is None:
        message = f"owner must be an active person in team {team.name} but got {name[:80]!r}"
        raise Invalid.on("owner", message, code="unknown_owner")
    return found.user


def reason_given(reason: str, *, field: str = "reason", needed: bool = True) -> str:
    """The trimmed text; Invalid if it is empty and needed, or too long."""
    text = reason.strip()
    if needed and not text:
        raise Invalid.on(field, f"{field} must say why but is empty", code="required")
    if found := unseen(text):
        raise Invalid.on(
            field, f"{field} must not contain control characters but has {found}", code="control_character"
        )
    if len(text) > MAX_REASON:
        raise Invalid.on(
            field, f"{field} must have at most {MAX_REASON} characters but has {len(text)}", code="too_long"
        )
    return text


def one_of(field: str, value: str, known: list[str]) -> str:
    """The value, or Invalid naming the field, the value and what is known."""
    if value not in known:
        message = f"{field} must be one of {', '.join(known)} but got {value[:80]!r}"
        raise Invalid(message, code=f"unknown_{field}", errors=[FieldError(field, f"unknown_{field}", message)])
    return value


def plain_json(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping as both databases give it back, so that its digest can be checked later; Invalid if they cannot
    hold it."""
    try:
        settled: dict[str, Any] = _settled(dict(value))
        text = events.canonical(settled)
        text.encode()
    except (TypeError, ValueError) as error:  # NaN, a type of Python's own, a lone surrogate
        raise Invalid.on(field, f"{field} must be plain JSON without NaN: {error!s:.200}", code="not_json") from error
    if "\\u0000" in text:
        raise Invalid.on(field, f"{field} must not contain the character NUL", code="not_json")
    return settled


def _settled(value: Any) -> Any:
    """PostgreSQL's jsonb has no minus zero, and writes 1e16 as a whole number, which is then read as one."""
    if isinstance(value, dict):
        return {name: _settled(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_settled(inner) for inner in value]
    if isinstance(value, float) and abs(value) != float("inf") and value.is_integer():
        return int(value) if abs(value) >= 1e16 else value + 0.0
    return value
