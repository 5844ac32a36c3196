"""The card of a version, from what is stored of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from registry.choices import Stage
from registry.models import PromotionRequest, Review, StageInterval, Version
from registry.selectors.approvals import requests_of
from registry.selectors.cards.parts import About, Approval, Card, Data, Decision, Report, Served, Training, missing
from registry.selectors.comparison import comparison
from registry.selectors.stages import in_production
from registry.selectors.validation import reports

TOLD = ("decision", "calibrated", "groups", "actual_to_expected", "nested")


def card(version: Version, *, changes: bool = True) -> Card:
    """The card of a version from `version_numbered`. Some seconds the first time, for the intervals of its changes."""
    requests = list(requests_of(version))
    base = production_before(version) if changes else None
    evidence = _latest(requests)
    found = Card(
        about=_about(version),
        data=_data(version),
        training=_training(version),
        metrics=version.metrics,
        slices=version.facts.get("slices"),
        calibration=version.facts.get("calibration", []),
        importance=version.importance,
        gate=evidence.get("gate"),
        drift=(evidence.get("holdout") or {}).get("drift"),
        signature=version.signature,
        threshold=version.threshold,
        artifact=_artifact(version),
        reports=[Report(row.name, row.digest, row.by.username, row.created_at) for row in reports(version)],
        approvals=[_approval(request) for request in requests],
        served=_served(version),
        since=None if base is None else base.number,
        changes=None if base is None else comparison(base, version, diff_only=True),
        missing=[],
        told=_told(version),
    )
    return found._replace(missing=missing(found))


def _told(version: Version) -> dict[str, Any]:
    """What its run was asked to tell. PostgreSQL keeps keys by their length: of a group its name comes first again."""
    told = {name: version.facts[name] for name in TOLD if name in version.facts}
    if "groups" in told:
        told["groups"] = {column: {**found, "groups": _named(found)} for column, found in told["groups"].items()}
    return told


def _named(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"group": row["group"], "rows": row["rows"], **row} for row in found["groups"]]


def production_before(version: Version) -> Version | None:
    """What served before this version did; before it has, what serves now. None for the first of a model."""
    served = StageInterval.objects.filter(model=version.model, stage=Stage.PRODUCTION)
    first = served.filter(version=version).order_by("started_at").first()
    if first is None:
        return in_production(version.model)
    earlier = served.filter(started_at__lt=first.started_at).exclude(version=version)
    found = earlier.select_related("version__model", "version__artifact").order_by("-started_at", "-pk").first()
    return None if found is None else found.version


def _about(version: Version) -> About:
    model = version.model
    words = (model.description, model.purpose, model.intended_use, model.limitations)
    people = (version.created_by.username, version.trained_by.username)
    held = (version.stage, model.risk_tier, model.team.name, model.owner.username)
    return About(model.name, version.number, model.task_type, *held, *words, *people, version.created_at)


def _data(version: Version) -> Data:
    said = version.facts.get("data", {})
    names = ("rows", "training_rows", "holdout_rows", "holdout_groups", "features", "target", "period", "quality")
    return Data(
        dataset=version.lineage.get("dataset"),
        digest=version.data_digest or None,
        holdout_digest=version.holdout_id,
        profiled=version.reference is not None,
        **{name: said.get(name) for name in names},
    )


def _training(version: Version) -> Training:
    params = {name: value for name, value in version.params.items() if name != "model_type"}
    came = version.lineage
    return Training(
        algorithm=version.params.get("model_type"),
        params=params,
        search=version.facts.get("search"),
        seed=came.get("seed"),
        code=came.get("code"),
        packages=came.get("lock"),
        run=came.get("run"),
        reason=came.get("trigger_reason"),
    )


def _artifact(version: Version) -> dict[str, Any]:
    row, serving = version.artifact, version.serving_id
    return {"digest": row.digest, "format": row.format, "size": row.size, "serving_digest": serving}


def _latest(requests: Iterable[PromotionRequest]) -> dict[str, Any]:
    """The evidence of the newest request that has a gate."""
    return next((request.evidence for request in requests if request.evidence.get("gate")), {})


def _approval(request: PromotionRequest) -> Approval:
    return Approval(
        request=request.pk,
        status=request.status,
        requester=request.requester.username,
        reason=request.reason,
        why_material=request.why_material,
        requested_at=request.created_at,
        closed_at=request.closed_at,
        evidence_digest=request.evidence_digest,
        reviews=[_decision(review) for review in request.reviews.all()],
    )


def _decision(review: Review) -> Decision:
    closing = getattr(review, "closing", None)  # Django raises an AttributeError where a condition is open
    return Decision(
        reviewer=review.reviewer.username,
        role=review.role,
        decision=review.decision,
        comment=review.comment,
        at=review.created_at,
        condition=review.condition,
        revalidate_on=review.revalidate_on,
        closed_by=None if closing is None else closing.by.username,
        closing_note="" if closing is None else closing.note,
        voided_at=review.voided_at,
    )


def _served(version: Version) -> list[Served]:
    rows = version.intervals.filter(stage=Stage.PRODUCTION).select_related("by").order_by("started_at", "pk")
    return [
        Served(row.started_at, row.ended_at, row.cause, None if row.by is None else row.by.username, row.reason)
        for row in rows
    ]
