"""Versions of a model, with their stage."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from mlops_site.core.errors import NotFound
from mlops_site.core.prepared import PreparedObjects
from registry.artifacts.schema import json_schema, sample_row
from registry.artifacts.signature import Signature
from registry.models import RegisteredModel, Version
from registry.models.version import VersionQuerySet, parts_of
from registry.selectors.stages import in_production

_HEAVY = ("reference", "golden")


def versions(model: RegisteredModel) -> VersionQuerySet:
    """All versions, newest first, each with `stage`; one query."""
    return _complete(Version.objects.filter(model=model)).newest_first()


def _complete(rows: VersionQuerySet) -> VersionQuerySet:
    chosen = rows.with_stage().select_related("model__team", "artifact", "created_by", "trained_by")
    return chosen.defer(*_HEAVY)


def version_numbered(model: RegisteredModel, number: str) -> Version:
    """The version written as `1.2.0`, with its stage; NotFound if the model has none of that number."""
    parts = parts_of(number)
    found = _numbered(model.pk, *parts) if parts else []
    if not found:
        raise NotFound(f"{model.name} has no version {number[:40]!r}", code="unknown_version")
    return found[0]


@PreparedObjects
def _numbered(model: int, major: int, minor: int, patch: int) -> QuerySet[Version]:
    rows = Version.objects.filter(model=model).filter(major=major).filter(minor=minor).filter(patch=patch)
    return _complete(rows).select_related("serving", "holdout")


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
