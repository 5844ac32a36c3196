"""What a person who decides must see: the registry's own facts, and what the requester adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_site.core import events
from registry import selectors
from registry.models import PromotionRequest, Version
from registry.services.guards import plain_json


def gather(version: Version, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The evidence of a promotion. The registry's facts stand over what was given under the same name.

    It can take seconds (bootstrap of the holdouts), so it is gathered before the lock and checked under it.
    """
    replaces = selectors.in_production(version.model)
    facts = {
        "model": version.model.name,
        "version": version.number,
        "artifact": {"digest": version.artifact_id, "format": version.artifact.format, "size": version.artifact.size},
        "signature_digest": version.signature_digest,
        "metrics": version.metrics,
        "lineage": version.lineage,
        "data_digest": version.data_digest,
        "replaces": None if replaces is None else replaces.number,
        "signature_change": selectors.interface_change(replaces, version),
        "comparison": None if replaces is None else selectors.comparison(replaces, version),
    }
    return plain_json("evidence", {**(given or {}), **facts})


def outdated(evidence: Mapping[str, Any], version: Version) -> str:
    """Why the evidence no longer speaks of what would happen; empty if it does."""
    now = selectors.in_production(version.model)
    number = None if now is None else now.number
    if number == evidence["replaces"]:
        return ""
    compared, serving = evidence["replaces"] or "no version", number or "no version"
    return (
        f"the evidence compares {version.number} with {compared}, but {serving} is in production now; "
        f"request the promotion of {version} again"
    )


def bound(request: PromotionRequest, version: Version) -> bool:
    """Whether the request's digests are those of what it is about."""
    return request.artifact_digest == version.artifact_id and request.evidence_digest == events.digest_of(
        request.evidence
    )
