"""Aliases of a model, and transfers between teams."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Q, QuerySet

from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Action, Actor
from registry.models import Alias, RegisteredModel, Transfer


class AliasLine(NamedTuple):
    """An alias with its version (None: it is protected, and names none) and the roles it is protected to."""

    name: str
    alias: Alias | None
    roles: list[str]


def aliases(model: RegisteredModel) -> list[AliasLine]:
    """By name; two queries."""
    rows = Alias.objects.filter(model=model).select_related("version__model", "set_by")
    named = {row.name: row for row in rows.defer("version__reference", "version__golden")}
    roles = {row.name: row.roles for row in model.protections.all()}
    return [AliasLine(name, named.get(name), roles.get(name, [])) for name in sorted({*named, *roles})]


def transfers(actor: Actor, *, model: RegisteredModel | None = None, status: str = "") -> QuerySet[Transfer]:
    """Those that the actor's teams offered or were offered, latest first. One query."""
    mine = actor.teams(Action.VIEW)
    rows = Transfer.objects.filter(Q(from_team__in=mine) | Q(to_team__in=mine))
    if model is not None:
        rows = rows.filter(model=model)
    if status:
        rows = rows.filter(status=status)
    people = ("asked_by", "decided_by", "model__owner")
    return rows.select_related("model__team", "from_team", "to_team", *people).order_by("-asked_at", "-pk")


def transfer_numbered(actor: Actor, pk: int) -> Transfer:
    """One; NotFound if it is absent or between other teams."""
    found = transfers(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound(f"no transfer {pk} here, or it is between other teams", code="unknown_transfer")
    return found
