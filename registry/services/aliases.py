"""Aliases: moved from version to version by those who may, and protected to roles."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.permissions import ROLE_ACTIONS, Action, Actor, person, refused, require
from registry.choices import Stage
from registry.models import Alias, AliasProtection, RegisteredModel, Version
from registry.models.alias import ALIAS
from registry.services.guards import check_live, locked, touch

RESERVED = frozenset({*Stage.values, "latest", "none", "current", "newest", "default"})
MAX_ALIASES = 50


def set_alias(model: RegisteredModel, *, actor: Actor, alias: str, version: Version) -> Alias:
    """Let the alias name this version, in place of another. Conflict `too_many_aliases`, `model_archived`;
    Invalid `bad_alias`, `reserved_alias`; Forbidden `alias_protected`."""
    check_alias(alias)
    if version.model_id != model.pk:
        raise Invalid.on("version", f"{version} is no version of {model}", code="unknown_version")
    with locked(model) as row:
        _require(actor, row, alias)
        check_live(row)
        before = row.aliases.filter(name=alias).select_related("version__model").first()
        if before is None and row.aliases.count() >= MAX_ALIASES:
            raise Conflict(f"{row} has {MAX_ALIASES} aliases, as many as it may", code="too_many_aliases")
        to = {"version": version, "set_by": person(actor), "set_at": timezone.now()}
        found, _ = Alias.objects.update_or_create(model=row, name=alias, defaults=to)
        touch(row)
        data = {"alias": alias, "version": version.number, "before": before and before.version.number}
        events.record("alias.set", actor=actor, subject=row.subject, team=row.team.name, data=data)
    return found


def remove_alias(model: RegisteredModel, *, actor: Actor, alias: str) -> None:
    """The alias names no version any more; a protection of it stays. NotFound `unknown_alias`."""
    with locked(model) as row:
        _require(actor, row, alias)
        found = row.aliases.filter(name=alias).select_related("version__model").first()
        if found is None:
            raise NotFound.on("alias", f"{row} has no alias {alias[:80]!r}", code="unknown_alias")
        data = {"alias": alias, "before": found.version.number}
        found.delete()
        touch(row)
        events.record("alias.removed", actor=actor, subject=row.subject, team=row.team.name, data=data)


def protect_alias(model: RegisteredModel, *, actor: Actor, alias: str, roles: Sequence[str]) -> AliasProtection | None:
    """Only these roles move the alias from now on; no roles lift the protection. For approvers."""
    check_alias(alias)
    _check_roles(roles)
    with locked(model) as row:
        require(actor, Action.POLICY_SET, row.team, subject=row.subject)
        found = None
        if roles:
            to = {"roles": sorted(set(roles)), "set_by": person(actor), "set_at": timezone.now()}
            found, _ = AliasProtection.objects.update_or_create(model=row, name=alias, defaults=to)
        else:
            row.protections.filter(name=alias).delete()
        touch(row)
        data = {"alias": alias, "roles": sorted(set(roles))}
        events.record("alias.protected", actor=actor, subject=row.subject, team=row.team.name, data=data)
    return found


def check_alias(alias: str) -> None:
    """Invalid unless it may be one: small ASCII letters, so that no two aliases look the same, and no word that the
    registry itself answers for."""
    if not re.fullmatch(ALIAS, alias):
        message = f"alias must be a letter a to z, then up to 62 of a to z, 0 to 9, _ and - but got {alias[:80]!r}"
        raise Invalid.on("alias", message, code="bad_alias")
    if alias in RESERVED or re.fullmatch(r"v[0-9_-]+", alias):
        message = (
            f"{alias} must not be an alias: stages, latest and what reads like a number are the registry's; "
            "@production, @staging and @latest can be asked for"
        )
        raise Invalid.on("alias", message, code="reserved_alias")


def _check_roles(roles: Sequence[str]) -> None:
    able = [str(role) for role, actions in ROLE_ACTIONS.items() if Action.ALIAS_SET in actions]
    for role in roles:
        if role not in able:
            message = f"roles must be among {', '.join(able)}, which set aliases, but got {role[:80]!r}"
            raise Invalid.on("roles", message, code="bad_role")


def _require(actor: Actor, model: RegisteredModel, alias: str) -> None:
    require(actor, Action.ALIAS_SET, model.team, subject=model.subject)
    guard = model.protections.filter(name=alias).first()
    if guard is not None and actor.roles.get(model.team_id) not in guard.roles:
        raise _refusal(actor, model, guard)


def _refusal(actor: Actor, model: RegisteredModel, guard: AliasProtection) -> Forbidden:
    said = f"{guard.name} of {model} is protected: only {' and '.join(guard.roles)} may move it, not {actor.name}"
    return refused(actor, said, action=Action.ALIAS_SET, subject=model.subject, team=model.team, code="alias_protected")
