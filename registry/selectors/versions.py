"""Versions of a model, with their stage."""

from __future__ import annotations

from typing import Any

from mlops_site.core.errors import NotFound
from registry.artifacts.schema import json_schema, sample_row
from registry.artifacts.signature import Signature
from registry.models import RegisteredModel, Version
from registry.models.version import VersionQuerySet, parts_of
from registry.selectors.stages import in_production

_HEAVY = ("reference", "golden")


def versions(model: RegisteredModel) -> VersionQuerySet:
    """All versions, newest first, each with `stage`; one query."""
    rows: VersionQuerySet = model.versions.all()
    chosen = (
        rows.with_stage().newest_first().select_related("model", "artifact", "created_by", "trained_by", "mirrored")
    )
    return chosen.defer(*_HEAVY)


def version_numbered(model: RegisteredModel, number: str) -> Version:
    """The version written as `1.2.0`, with its stage; NotFound if the model has none of that number."""
    found = None
    if parts := parts_of(number):
        rows = versions(model).select_related("serving", "holdout")
        found = rows.filter(**dict(zip(("major", "minor", "patch"), parts, strict=True))).first()
    if found is None:
        raise NotFound(f"{model.name} has no version {number[:40]!r}", code="unknown_version")
    return found


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
