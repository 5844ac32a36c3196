"""What a person who decides must see: the registry's own facts, and what the requester adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlops_site.core import events
from registry import selectors
from registry.models import PromotionRequest, Version
from registry.services.guards import plain_json
from registry.signals import evidence_wanted


def gather(version: Version, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The evidence of a promotion. The registry's facts stand over what was given under the same name.

    It can take seconds (bootstrap of the holdouts), so it is gathered before the lock and checked under it.
    """
    facts: dict[str, Any] = {name: said for section in SECTIONS for name, said in section(version).items()}
    answers: list[Any] = [answer for _, answer in evidence_wanted.send(sender=Version, version=version)]
    for sections in answers:
        facts.update(sections or {})
    return plain_json("evidence", {**(given or {}), **facts})


def _identity(version: Version) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "version": version.number,
        "artifact": {"digest": version.artifact_id, "format": version.artifact.format, "size": version.artifact.size},
        "signature_digest": version.signature_digest,
    }


def _measured(version: Version) -> dict[str, Any]:
    return {
        "metrics": version.metrics,
        "params": version.params,
        "threshold": version.threshold,
        "importance": version.importance,
    }


def _explained(version: Version) -> dict[str, Any]:
    summary = selectors.explanation_summary(version.explanation)
    return {} if summary is None else {"explanation": summary}


def _origin(version: Version) -> dict[str, Any]:
    return {"lineage": version.lineage, "data_digest": version.data_digest}


def _against_production(version: Version) -> dict[str, Any]:
    replaces = selectors.in_production(version.model)
    return {
        "replaces": None if replaces is None else replaces.number,
        "signature_change": selectors.interface_change(replaces, version),
        "comparison": None if replaces is None else selectors.comparison(replaces, version),
        "holdout": selectors.holdout_drift(version, replaces),
    }


def _card(version: Version) -> dict[str, Any]:
    found = selectors.version_numbered(version.model, version.number)  # with its stage, which a card shows
    return {"card": selectors.settled(selectors.card(found, changes=False))}


def _reports(version: Version) -> dict[str, Any]:
    rows = selectors.reports(version)
    return {"reports": [{"name": r.name, "digest": r.digest, "size": r.size, "by": r.by.username} for r in rows]}


# each gives sections of the bundle by name; apps above the registry add theirs by `signals.evidence_wanted`
SECTIONS: tuple[Callable[[Version], dict[str, Any]], ...] = (
    _identity,
    _measured,
    _explained,
    _origin,
    _against_production,
    _reports,
    _card,
)


def outdated(evidence: Mapping[str, Any], version: Version, now: Version | None) -> str:
    """Why the evidence no longer speaks of what would happen, with `now` in production; empty if it does."""
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
