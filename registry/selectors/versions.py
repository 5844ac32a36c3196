"""Versions of a model, with their stage."""

from __future__ import annotations

from mlops_site.core.errors import NotFound
from registry.models import RegisteredModel, Version
from registry.models.version import VersionQuerySet

_HEAVY = ("reference", "golden")


def versions(model: RegisteredModel) -> VersionQuerySet:
    """All versions, newest first, each with `stage`; one query."""
    rows: VersionQuerySet = model.versions.all()
    chosen = rows.with_stage().newest_first().select_related("model", "artifact", "created_by", "trained_by")
    return chosen.defer(*_HEAVY)


def version_numbered(model: RegisteredModel, number: str) -> Version:
    """The version written as `1.2.0`, with its stage; NotFound if the model has none of that number."""
    parts = number.split(".")
    is_number = len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts)
    found = None
    if is_number:
        major, minor, patch = map(int, parts)
        found = (
            versions(model).filter(major=major, minor=minor, patch=patch).select_related("serving", "holdout").first()
        )
    if found is None or found.number != number:
        raise NotFound(f"{model.name} has no version {number[:40]!r}", code="unknown_version")
    return found
