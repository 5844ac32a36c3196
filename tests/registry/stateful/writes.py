"""Writes past the services, with the application's own database role: rows that somebody made up, rows changed, rows
deleted. Each either is refused by the database, or leaves what the judge finds lawful."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from hypothesis import strategies as st

from registry.choices import Cause, Decision, RequestStatus, Stage
from registry.models import (
    Artifact,
    DeployPolicy,
    PromotionRequest,
    RegisteredModel,
    Review,
    StageInterval,
    ValidationReport,
    Version,
)
from tests.registry.stateful.deeds import PEOPLE, Deeds
from tests.registry.stateful.law import TIERS

TABLES = ("review", "stageinterval", "promotionrequest", "version", "deploypolicy")
_which, _who = st.integers(0, 9), st.sampled_from(sorted(PEOPLE))
_honest = st.sampled_from([True, True, False])


def _write(kind: str, **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.tuples(st.just(kind), st.fixed_dictionaries(parts))


INTERVAL = _write(
    "interval", version=_which, which=_which, by=_who,
    stage=st.sampled_from(["production", "production", *Stage.values]),
    cause=st.sampled_from(["approved", "policy", "rolled_back", *Cause.values]), close=st.sampled_from([2, 2, 1, 0]),
)  # fmt: skip
REVIEW = _write(
    "review", which=_which, who=_who, role=st.sampled_from(["approver", "validator"]), honest=_honest, copied=_who,
    decision=st.sampled_from(["approve", *Decision.values]), tier=st.sampled_from(TIERS),
)  # fmt: skip
STATUS = _write("status", which=_which, status=st.sampled_from(["approved", "approved", *RequestStatus.values]))
REQUEST = _write(
    "request", version=_which, requester=_who, honest=_honest, author=_who,
    status=st.sampled_from(["pending", "approved"]),
)  # fmt: skip
CHANGED = ["void", "evidence", "artifact", "trainer", "reviewer", "decision", "reopen", "backdate", "stage"]
WRITES = st.one_of(
    INTERVAL,
    REVIEW,
    STATUS,
    REQUEST,
    _write("policy", reach=st.sampled_from(["production", "none"]), who=_who),
    _write("tier", tier=st.sampled_from(TIERS)),
    _write("change", what=st.sampled_from(CHANGED), who=_who),
    _write("delete", table=st.sampled_from(TABLES)),
)


def attempt(deeds: Deeds, kind: str, parts: dict[str, Any]) -> bool:
    """Whether the database let the write pass; a refused one leaves nothing."""
    try:
        with transaction.atomic():
            return bool(globals()[f"_{kind}"](deeds, **parts))
    except DatabaseError:
        return False


def _interval(deeds: Deeds, version: int, stage: str, which: int, by: str, cause: str, close: int) -> bool:
    """A stage for a version, out of the blue; `close` ends its own stage first (1), or also what serves (2)."""
    row, now = _version(deeds, version), timezone.now()
    open_ = StageInterval.objects.open().filter(model=deeds.model)
    if close:
        open_.filter(version=row).update(ended_at=now)
    if close == 2 and stage == Stage.PRODUCTION:
        open_.filter(stage=Stage.PRODUCTION).update(ended_at=now)
    policies = list(DeployPolicy.objects.filter(model=deeds.model).order_by("-pk"))
    requests = list(PromotionRequest.objects.filter(version=row).order_by("-pk"))
    StageInterval.objects.create(
        version=row, model=deeds.model, stage=stage, cause=cause, started_at=now, by=deeds.people[by],
        request=requests[which % len(requests)] if requests and cause == Cause.APPROVED else None,
        policy=policies[which % len(policies)] if cause == Cause.POLICY else None,
    )  # fmt: skip
    return True


def _review(deeds: Deeds, which: int, who: str, role: str, honest: bool, decision: str, copied: str, tier: str) -> bool:
    if (request := _request_at(deeds, which)) is None:
        return False
    other, now = deeds.people[copied].pk, RegisteredModel.objects.get(pk=deeds.model.pk).risk_tier
    seen = ValidationReport.objects.filter(version=request.version_id).count()
    terms = (
        {"condition": "made up", "revalidate_on": timezone.now().date()}
        if decision == Decision.APPROVE_WITH_CONDITIONS
        else {}
    )
    Review.objects.create(
        request=request, reviewer=deeds.people[who], role=role, decision=decision, comment="made up",
        requester_id=request.requester_id if honest else other, author_id=request.author_id if honest else other,
        trainer_id=request.trainer_id if honest else other, risk_tier=now if honest else tier,
        evidence_digest=request.evidence_digest, artifact_digest=request.artifact_digest,
        reports_seen=seen if honest else seen + 1, **terms,
    )  # fmt: skip
    return True


def _status(deeds: Deeds, which: int, status: str) -> bool:
    request = _request_at(deeds, which)
    return request is not None and bool(PromotionRequest.objects.filter(pk=request.pk).update(status=status))


def _request(deeds: Deeds, version: int, requester: str, honest: bool, author: str, status: str) -> bool:
    row, other = _version(deeds, version), deeds.people[author]
    PromotionRequest.objects.create(
        version=row, model=deeds.model, status=status, requester=deeds.people[requester], reason="made up", evidence={},
        author=row.created_by if honest else other, trainer=row.trained_by if honest else other,
        evidence_digest="0" * 64, artifact_digest=row.artifact_id,
    )  # fmt: skip
    return True


def _policy(deeds: Deeds, reach: str, who: str) -> bool:
    DeployPolicy.objects.create(model=deeds.model, reach=reach, set_by=deeds.people[who], reason="made up")
    return True


def _tier(deeds: Deeds, tier: str) -> bool:
    return bool(RegisteredModel.objects.filter(pk=deeds.model.pk).update(risk_tier=tier))


def _change(deeds: Deeds, what: str, who: str) -> bool:
    """The newest row of a kind becomes another."""
    person, mine = deeds.people[who], {"model": deeds.model}
    intervals = StageInterval.objects.filter(**mine).order_by("-pk")
    changes: dict[str, tuple[Any, dict[str, Any]]] = {
        "evidence": (PromotionRequest.objects.filter(**mine), {"evidence": {"made": "up"}}),
        "artifact": (Version.objects.filter(**mine), {"artifact": Artifact.objects.order_by("?").first()}),
        "trainer": (Version.objects.filter(**mine), {"trained_by": person, "created_by": person}),
        "void": (Review.objects.filter(request__model=deeds.model), {"voided_at": timezone.now()}),
        "reviewer": (Review.objects.filter(request__model=deeds.model), {"reviewer": person}),
        "decision": (Review.objects.filter(request__model=deeds.model), {"decision": "approve"}),
        "reopen": (intervals.exclude(ended_at=None), {"ended_at": None}),
        "backdate": (intervals, {"started_at": timezone.now().replace(year=2020)}),
        "stage": (intervals.filter(ended_at=None), {"stage": "production"}),
    }
    rows, change = changes[what]
    newest = rows.order_by("-pk").values_list("pk", flat=True).first()
    return newest is not None and bool(rows.model.objects.filter(pk=newest).update(**change))


def _delete(deeds: Deeds, table: str) -> bool:
    """The newest row, by SQL: Django would look first whether others refer to it."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM registry_{table} WHERE id = (SELECT MAX(id) FROM registry_{table})")
        return bool(cursor.rowcount)


def _version(deeds: Deeds, version: int) -> Version:
    return deeds.versions[version % len(deeds.versions)]


def _request_at(deeds: Deeds, which: int) -> PromotionRequest | None:
    """Counted from the newest."""
    rows = list(PromotionRequest.objects.filter(model=deeds.model).order_by("-pk"))
    return rows[which % len(rows)] if rows else None
