"""Defining feature sets. A changed definition is a new version; the same one is the version that has it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Max

from mlops_site.core import events
from mlops_site.core.errors import FieldError, Invalid, NotFound
from mlops_site.core.models import Team, User
from mlops_site.core.permissions import Action, Actor, person, require, team_for
from mlops_site.core.texts import unseen
from registry.services.guards import owner_named
from training.models import FeatureSet, FeatureSetVersion
from training.models.dataset import DATASET_NAME

MAX_COLUMNS = 500
MAX_NAME = 128
MAX_TEXT = 2_000
MAX_SOURCE = 500
MAX_FRESHNESS_SECS = 100 * 365 * 86_400
KINDS = ("number", "category")
ENTITY = r"[a-z][a-z0-9_]{0,62}"
_COLUMN = frozenset({"name", "kind", "description", "pii"})


def define_feature_set(
    *,
    actor: Actor,
    name: str,
    entity: str,
    columns: Sequence[Any],
    description: str = "",
    source: str = "",
    freshness_secs: int | None = None,
    owner: str | None = None,
    team: str | None = None,
) -> FeatureSetVersion:
    """The next version of the named feature set, or the newest one where it says just this.

    `columns` are {"name", "kind": number or category, "description"?, "pii"?}; `source` says where the values come
    from; a value older than `freshness_secs` is stale, and counts as none; `owner` is a person of the team, the actor
    if left out. Raises Invalid naming everything at fault, Forbidden, NotFound for a name that another team has.
    """
    errors = list(_faults(name, entity, columns, freshness_secs, {"description": description, "source": source}))
    if errors:
        raise Invalid(errors[0].message, code=errors[0].code, errors=errors)
    said = {
        "entity": entity,
        "columns": [_column(column) for column in columns],
        "description": description.strip(),
        "source": source.strip(),
        "freshness_secs": freshness_secs,
    }
    with events.atomic():
        home = _home(actor, name, team)
        owned_by = owner_named(home, owner) if owner else person(actor)
        return _next(_locked(name, home, actor), said, owned_by, actor)


def _next(found: FeatureSet, said: dict[str, Any], owner: User, actor: Actor) -> FeatureSetVersion:
    digest = events.digest_of({**said, "owner": owner.get_username()})
    newest = found.versions.select_related("feature_set__team", "owner", "created_by").first()
    if newest is not None and newest.digest == digest:
        return newest
    last = found.versions.aggregate(last=Max("version"))["last"] or 0
    version = FeatureSetVersion.objects.create(
        feature_set=found, version=last + 1, owner=owner, digest=digest, created_by=person(actor), **said
    )
    data = {"version": version.version, "digest": digest, "owner": owner.get_username(), **said}
    events.record("feature_set.defined", actor=actor, subject=found.subject, team=found.team.name, data=data)
    return version


def _home(actor: Actor, name: str, team: str | None) -> Team:
    """The team that the set is, or will be, of; the actor may define it."""
    found = FeatureSet.objects.select_related("team").filter(name=name).first()
    if found is None:
        return team_for(actor, team, Action.FEATURE_DEFINE)
    if not actor.may(Action.VIEW, found.team_id):
        raise _taken(name)
    require(actor, Action.FEATURE_DEFINE, found.team, subject=found.subject)
    return found.team


def _taken(name: str) -> NotFound:
    message = f"there is no feature set {name} of yours, and the name is taken; choose another"
    return NotFound.on("name", message, code="unknown_feature_set")


def _locked(name: str, home: Team, actor: Actor) -> FeatureSet:
    """The set's row, locked, so that versions are numbered one after the other."""
    found, _ = FeatureSet.objects.get_or_create(name=name, defaults={"team": home, "created_by": person(actor)})
    if found.team_id != home.pk:
        raise _taken(name)
    return FeatureSet.objects.select_related("team").select_for_update(no_key=True, of=("self",)).get(pk=found.pk)


def _faults(
    name: Any, entity: Any, columns: Any, freshness_secs: Any, texts: Mapping[str, Any]
) -> Iterator[FieldError]:
    if not isinstance(name, str) or not re.fullmatch(DATASET_NAME, name):
        yield FieldError("name", "bad_name", f"name must match {DATASET_NAME} but got {name!r:.80}")
    if not isinstance(entity, str) or not re.fullmatch(ENTITY, entity):
        yield FieldError("entity", "bad_name", f"entity must match {ENTITY}, such as person, but got {entity!r:.80}")
    if freshness_secs is not None and (
        type(freshness_secs) is not int or not 1 <= freshness_secs <= MAX_FRESHNESS_SECS
    ):
        message = f"freshness_secs must be from 1 to {MAX_FRESHNESS_SECS}, or null, but got {freshness_secs!r:.40}"
        yield FieldError("freshness_secs", "out_of_range", message)
    for field, text in texts.items():
        yield from _text(field, text, MAX_SOURCE if field == "source" else MAX_TEXT)
    yield from _columns(columns)


def _text(field: str, text: Any, longest: int) -> Iterator[FieldError]:
    if not isinstance(text, str) or len(text) > longest:
        yield FieldError(field, "too_long", f"{field} must be a text of at most {longest} characters")
    elif found := unseen(text):
        yield FieldError(field, "control_character", f"{field} must not contain control characters but has {found}")


def _columns(columns: Any) -> Iterator[FieldError]:
    if not isinstance(columns, list | tuple) or not 1 <= len(columns) <= MAX_COLUMNS:
        yield FieldError("columns", "wrong_type", f"columns must be a list of 1 to {MAX_COLUMNS} columns")
        return
    names = [column.get("name") if isinstance(column, Mapping) else None for column in columns]
    for at, column in enumerate(columns):
        place = f"columns[{at}]"
        if not isinstance(column, Mapping) or not set(column) <= _COLUMN:
            yield FieldError(place, "wrong_type", f"{place} must be an object of {', '.join(sorted(_COLUMN))}")
            continue
        yield from _column_faults(place, column)
        if isinstance(column.get("name"), str) and names.index(column["name"]) < at:
            message = f"columns must have different names but {column['name'][:80]!r} stands twice"
            yield FieldError(f"{place}.name", "duplicate_column", message)


def _column_faults(place: str, column: Mapping[str, Any]) -> Iterator[FieldError]:
    name = column.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or name != name.strip() or not _is_plain(name):
        message = f"{place}.name must be a printable text of 1 to {MAX_NAME} characters but got {name!r:.80}"
        yield FieldError(f"{place}.name", "bad_name", message)
    if column.get("kind") not in KINDS:
        message = f"{place}.kind must be one of {', '.join(KINDS)} but got {column.get('kind')!r:.80}"
        yield FieldError(f"{place}.kind", "unknown_kind", message)
    if not isinstance(column.get("pii", False), bool):
        yield FieldError(f"{place}.pii", "wrong_type", f"{place}.pii must be true or false")
    yield from _text(f"{place}.description", column.get("description", ""), MAX_SOURCE)


def _is_plain(name: str) -> bool:
    return not any(unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") for mark in name)


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": column["name"],
        "kind": column["kind"],
        "description": column.get("description", "").strip(),
        "pii": column.get("pii", False),
    }
