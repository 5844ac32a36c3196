"""Versions of a model, with their stage."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Action, Actor
from mlops_site.core.prepared import PreparedObjects, attach
from registry.artifacts.schema import json_schema, sample_row
from registry.artifacts.signature import Signature
from registry.choices import Stage
from registry.models import Alias, RegisteredModel, Version
from registry.models.version import VersionQuerySet, parts_of
from registry.selectors.models import model_located
from registry.selectors.paged import Paged
from registry.selectors.search import found_versions
from registry.selectors.stages import in_production

LATEST = "latest"
_NUMBER = ("major", "minor", "patch")
_HEAVY = ("reference", "held_out", "golden", "facts", "explanation")


def versions(model: RegisteredModel) -> VersionQuerySet:
    """All versions, newest first, each with `stage`, its remark and tags; one query."""
    return complete(Version.objects.filter(model=model)).newest_first()


def versions_found(actor: Actor, **filters: Any) -> VersionQuerySet:
    """Those of every model that `search.found_versions` finds, latest first, as in `versions`."""
    return complete(found_versions(actor, **filters)).order_by("-pk")


def complete(rows: VersionQuerySet) -> VersionQuerySet:
    people = ("created_by", "trained_by", "remark__deprecated_by")
    chosen = rows.with_stage().select_related("model__team", "artifact", "remark", "mirrored", *people)
    return chosen.defer(*_HEAVY)


def with_version_aliases(rows: VersionQuerySet) -> VersionQuerySet:
    """One query more."""
    return rows.prefetch_related("aliases")


def version_lines(rows: VersionQuerySet) -> Paged[Version]:
    """These, for a paginator: one statement finds and counts them, two read a page with the aliases."""
    return Paged(rows, _read)


def _read(keys: list[int]) -> list[Version]:
    found = {version.pk: version for version in _lines(keys)}
    aliases = _aliases(keys)
    for pk, version in found.items():
        attach(version, "aliases", [alias for alias in aliases if alias.version_id == pk])
    return [found[key] for key in keys if key in found]


@PreparedObjects
def _lines(keys: list[int]) -> QuerySet[Version]:
    return complete(Version.objects.filter(pk__among=keys))


def version_loadable(version: Version) -> Version:
    """The same with all that loading and proving it takes, by one statement."""
    found: Version
    (found,) = _loadable(version.pk)
    return found


@PreparedObjects
def _loadable(version: int) -> QuerySet[Version]:
    rows = Version.objects.filter(pk=version).select_related("model", "artifact", "serving")
    return rows.only("model__name", *_NUMBER, "signature", "golden", "artifact", "serving")


def version_serving(model: RegisteredModel) -> Version | None:
    """The one in production, as in `version_numbered`, by one statement."""
    found = next(iter(_serving(model.pk, Stage.PRODUCTION.value)), None)
    if found is not None and model.names is not None:
        found.alias_names = [name for name, number in model.names.aliases.items() if number == found.number]
    return found


@PreparedObjects
def _serving(model: int, stage: str) -> QuerySet[Version]:
    # Joined, not looked up in a subquery: PostgreSQL would read every version before it does that.
    rows = Version.objects.filter(model=model).filter(intervals__ended_at=None, intervals__stage=stage)
    return _whole(rows)


def aliases_of_version(version: Version) -> list[str]:
    """By name; one query, unless they were read with it or its model."""
    if version.alias_names is not None:
        return version.alias_names
    if not version.is_aliased:
        return []
    if "aliases" in getattr(version, "_prefetched_objects_cache", {}):
        return [alias.name for alias in version.aliases.all()]
    return [alias.name for alias in _aliases([version.pk])]


@PreparedObjects
def _aliases(versions: list[int]) -> QuerySet[Alias]:
    return Alias.objects.filter(version__among=versions).order_by("name")


def version_numbered(model: RegisteredModel, number: str) -> Version:
    """The version written as `1.2.0`, or as `@champion` for the one that has an alias (`@production`, `@staging` and
    `@latest` always work), with its stage; NotFound if the model has none."""
    parts = parts_of(number)
    found = _numbered(model.pk, *parts) if parts else _aliased(model, number)
    if not found:
        raise NotFound(f"{model.name} has no version {number[:80]!r}", code="unknown_version")
    return found[0]


def version_located(actor: Actor, name: str, number: str) -> Version:
    """The same of the model of that name, by one statement where it is there."""
    parts = parts_of(number)
    found = _located(name, actor.teams(Action.VIEW), *parts) if parts else []
    return found[0] if found else version_numbered(model_located(actor, name), number)


@PreparedObjects
def _located(name: str, teams: list[int], major: int, minor: int, patch: int) -> QuerySet[Version]:
    rows = Version.objects.filter(model__name=name).filter(model__team__among=teams)
    told = {"is_aliased": Exists(Alias.objects.filter(version=OuterRef("pk")))}
    return _whole(rows.filter(major=major).filter(minor=minor).filter(patch=patch)).annotate(**told)


@PreparedObjects
def _numbered(model: int, major: int, minor: int, patch: int) -> QuerySet[Version]:
    rows = Version.objects.filter(model=model).filter(major=major).filter(minor=minor).filter(patch=patch)
    return _whole(rows)


def _aliased(model: RegisteredModel, number: str) -> list[Version]:
    if not number.startswith("@"):
        return []
    name = number[1:]
    wanted = Q() if name == LATEST else Q(aliases__name=name, aliases__model=model)
    if name in (Stage.PRODUCTION, Stage.STAGING):
        wanted = Q(intervals__ended_at=None, intervals__stage=name)
    return list(_whole(Version.objects.filter(model=model).filter(wanted)).newest_first()[:1])


def _whole(rows: VersionQuerySet) -> VersionQuerySet:
    return complete(rows).select_related("serving", "holdout", "background")


def feature_schema(model: RegisteredModel, *, number: str | None = None) -> dict[str, Any]:
    """What predict takes: {"name", "version", "features" (JSON Schema), "sample"}.

    Of the version named, else of the one in production, else of the newest; NotFound if there is none.
    """
    if number is not None:
        version = version_numbered(model, number)
    elif (found := in_production(model) or versions(model).first()) is not None:
        version = found
    else:
        raise NotFound(f"{model.name} has no version yet", code="unknown_version")
    signature = Signature.from_json(version.signature)
    sample = version.golden[0]["features"] if version.golden else sample_row(signature)
    features = json_schema(signature, sample=sample)
    return {"name": model.name, "version": version.number, "features": features, "sample": sample}
