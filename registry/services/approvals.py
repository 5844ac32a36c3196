"""Promotion requests: filed with evidence, decided by other people, carried out when the quorum is reached."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, Forbidden
from mlops_site.core.models import User
from mlops_site.core.permissions import Action, Actor, person, refused, require
from mlops_site.core.prepared import PreparedObjects, detach
from registry import selectors
from registry.artifacts.scorer import preflight
from registry.choices import IN_FAVOUR, Cause, Decision, NoticeKind, RequestStatus, Stage
from registry.models import PromotionRequest, Review, Version
from registry.services.conditions import Terms, checked_terms
from registry.services.evidence import bound, gather, outdated
from registry.services.guards import check_live, locked, one_of, reason_given, touch
from registry.services.intervals import check_move, swap
from registry.services.notices import tell_reviewers
from registry.signals import request_decided, request_filed

MATERIAL = "why_material"
_CLOSES = {Decision.REJECT: RequestStatus.REJECTED, Decision.REQUEST_CHANGES: RequestStatus.CHANGES_REQUESTED}


def request_promotion(
    version: Version,
    *,
    actor: Actor,
    reason: str,
    why_material: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> PromotionRequest:
    """Ask for a version in staging to go into production. `reason` says what changed and `why_material` why that
    matters; without the latter, `reason` answers both questions. Invalid if one of them is given but empty; Conflict
    `illegal_move`, `already_requested`, `evidence_outdated` (production changed while the evidence was gathered)."""
    with events.atomic():
        require(actor, Action.PROMOTION_REQUEST, version.model.team, subject=version.subject)
        check_live(version.model)
        check_move(version, Stage.PRODUCTION)
    why, material = reason_given(reason), "" if why_material is None else reason_given(why_material, field=MATERIAL)
    facts = gather(version, evidence)
    with locked(version.model) as model:
        require(actor, Action.PROMOTION_REQUEST, model.team, subject=version.subject)
        check_live(model)
        check_move(version, Stage.PRODUCTION)
        return file_request(version, actor=actor, reason=why, why_material=material, evidence=facts)


def file_request(
    version: Version, *, actor: Actor, reason: str, evidence: dict[str, Any], why_material: str = ""
) -> PromotionRequest:
    """The row, under the model's lock; who may decide it is told."""
    waiting = pending(version)
    if waiting is not None and waiting.is_expired:  # the sweep has not come by yet
        close_request(waiting, actor=Actor.system("registry"), status=RequestStatus.EXPIRED)
        waiting = None
    if waiting:
        raise Conflict(
            f"request {waiting.pk} asks for {version} already and waits for a decision", code="already_requested"
        )
    if why := outdated(evidence, version, selectors.in_production(version.model)):
        raise Conflict(why, code="evidence_outdated")
    request = PromotionRequest.objects.create(
        version=version,
        model=version.model,
        requester=person(actor),
        author=version.created_by,
        trainer=version.trained_by,
        reason=reason,
        why_material=why_material,
        evidence=evidence,
        evidence_digest=events.digest_of(evidence),
        artifact_digest=version.artifact_id,
    )
    data = {
        "version": version.number,
        "reason": reason,
        "why_material": why_material,
        "evidence": request.evidence_digest,
        "artifact": request.artifact_digest,
    }
    events.record("promotion.requested", actor=actor, subject=request.subject, team=version.model.team.name, data=data)
    request_filed.send(sender=PromotionRequest, request=request)
    tell_reviewers(request, NoticeKind.OPENED)
    return request


def pending(version: Version) -> PromotionRequest | None:
    return version.requests.filter(status=RequestStatus.PENDING).first()


def review_request(
    request: PromotionRequest,
    *,
    actor: Actor,
    decision: str,
    comment: str = "",
    condition: str = "",
    revalidate_on: date | None = None,
) -> PromotionRequest:
    """One person's decision. A rejection closes the request; the approval that completes the quorum puts the version
    into production in the same transaction, after its pre-flight. `approve_with_conditions` says which, and the day
    on which somebody must have looked again.

    Forbidden `four_eyes` or `forbidden`; Conflict `request_closed`, `request_expired`, `reviewed_already`,
    `illegal_move`, `preflight_failed`; or `digest_changed`, `evidence_outdated`, which also void the request.
    """
    chosen = Decision(one_of("decision", decision, list(Decision.values)))
    terms = checked_terms(chosen, condition, revalidate_on)
    said = reason_given(comment, field="comment", needed=chosen not in IN_FAVOUR)
    with events.atomic():  # refuse before anything is loaded for someone who may not decide
        _guard(request, actor)
    if chosen in IN_FAVOUR:
        check_preflight(request.version)
    with locked(request.model):
        row = _row(request)
        _guard(row, actor)
        replaced = selectors.in_production(row.model)
        gone = _ground_gone(row, replaced) if chosen in IN_FAVOUR else None
        if gone is not None:
            close_request(row, actor=actor, status=RequestStatus.VOID, comment=gone.detail)
        else:
            _decide(row, actor, chosen, said, terms, replaced)
    if gone is not None:  # raised after the commit, so that the request stays void
        raise gone
    detach(row, "reviews")  # for the caller they may go on changing
    return row


def _ground_gone(request: PromotionRequest, replaced: Version | None) -> Conflict | None:
    """Why an approval would be of something else than what was asked for."""
    if not bound(request, request.version):
        message = f"request {request.pk} is no longer about what {request.version} is; request the promotion again"
        return Conflict(message, code="digest_changed")
    if why := outdated(request.evidence, request.version, replaced):
        return Conflict(why, code="evidence_outdated")
    return None


def _row(request: PromotionRequest) -> PromotionRequest:
    """The request as it is now with its reviews, locked after its model."""
    (row,) = selectors.with_reviews(_taken(request.pk))
    return row


@PreparedObjects
def _taken(request: int) -> QuerySet[PromotionRequest]:
    rows = PromotionRequest.objects.select_for_update(no_key=True, of=("self",)).filter(pk=request)
    return rows.select_related("model__team", "version__model__team")


def _guard(request: PromotionRequest, actor: Actor) -> None:
    answer = selectors.decidable(request, actor)
    if answer.code in ("four_eyes", "forbidden"):
        raise _refusal(request, actor, answer)
    if not answer.may:
        raise Conflict(answer.why, code=answer.code)


def _refusal(request: PromotionRequest, actor: Actor, answer: selectors.Decidable) -> Forbidden:
    action, team = Action.PROMOTION_REVIEW, request.model.team
    return refused(actor, answer.why, action=action, subject=request.subject, team=team, code=answer.code)


def _decide(
    request: PromotionRequest, actor: Actor, decision: Decision, comment: str, terms: Terms, replaced: Version | None
) -> None:
    if decision in IN_FAVOUR:
        check_move(request.version, Stage.PRODUCTION)
    review = _review(request, actor, decision, comment, terms)
    data = {"decision": str(decision), "comment": comment, "role": review.role, "evidence": request.evidence_digest}
    data |= {"reports": review.reports_digest, **terms.said()}
    team = request.model.team.name
    events.record("promotion.reviewed", actor=actor, subject=request.subject, team=team, data=data)
    if decision not in IN_FAVOUR:
        close_request(request, actor=actor, status=_CLOSES[decision], comment=comment)
        return
    (request,) = selectors.with_reviews([request])  # this one with them
    if not selectors.missing_roles(request.model.risk_tier, request.reviews.all()):
        _promote(request, actor, replaced)


def _review(request: PromotionRequest, actor: Actor, decision: Decision, comment: str, terms: Terms) -> Review:
    seen, digest = selectors.reports_digest(request.version)
    return Review.objects.create(
        request=request,
        reviewer=person(actor),
        role=actor.roles[request.model.team_id],
        decision=decision,
        comment=comment,
        condition=terms.condition,
        revalidate_on=terms.revalidate_on,
        reports_seen=seen,
        reports_digest=digest,
        requester_id=request.requester_id,
        author_id=request.author_id,
        trainer_id=request.trainer_id,
        risk_tier=request.model.risk_tier,
        evidence_digest=request.evidence_digest,
        artifact_digest=request.artifact_digest,
    )


def _promote(request: PromotionRequest, actor: Actor, replaced: Version | None) -> None:
    by = person(actor)
    close_request(request, actor=actor, status=RequestStatus.APPROVED)
    swap(request.version, replaced, cause=Cause.APPROVED, by=by, reason=request.reason, request=request)
    say_promoted(request.version, replaced, actor=actor, cause=Cause.APPROVED, reason=request.reason)


def say_promoted(version: Version, replaced: Version | None, *, actor: Actor, cause: str, reason: str) -> None:
    touch(version.model)
    data: dict[str, Any] = {
        "stage": str(Stage.PRODUCTION),
        "cause": str(cause),
        "replaced": replaced and replaced.number,
        "reason": reason,
        "artifact": version.artifact_id,
    }
    if warnings := selectors.interface_warnings(selectors.interface_change(replaced, version)):
        data["warnings"] = warnings
    team = version.model.team.name
    events.record("version.stage_changed", actor=actor, subject=version.subject, team=team, data=data)


def close_request(request: PromotionRequest, *, actor: Actor, status: RequestStatus, comment: str = "") -> None:
    request.status, request.closed_at, request.closed_by = status, timezone.now(), actor.user
    request.save(update_fields=["status", "closed_at", "closed_by"])
    data, team = {"version": request.version.number, "comment": comment}, request.model.team.name
    events.record(f"promotion.{status.value}", actor=actor, subject=request.subject, team=team, data=data)
    request_decided.send(sender=PromotionRequest, request=request)


def void_pending(version: Version, *, actor: Actor, why: str) -> None:
    """A request whose version has left staging by another way asks for nothing any more."""
    if waiting := pending(version):
        close_request(waiting, actor=actor, status=RequestStatus.VOID, comment=why)


def withdraw_request(request: PromotionRequest, *, actor: Actor, comment: str = "") -> PromotionRequest:
    """Taken back by the one who asked."""
    said = reason_given(comment, field="comment", needed=False)
    with locked(request.model):
        row = _row(request)
        if actor.user is None or row.requester_id != actor.user.pk:
            asked: User = row.requester
            detail = f"only {asked.username}, who requested it, may withdraw request {row.pk}; reviewers reject it"
            team = row.model.team
            raise refused(
                actor, detail, action="promotion.withdraw", subject=row.subject, team=team, code="not_requester"
            )
        if actor.scopes is not None:  # a person who has changed roles still takes back what is theirs
            require(actor, Action.PROMOTION_REQUEST, row.model.team, subject=row.subject)
        if row.status != RequestStatus.PENDING:
            raise Conflict(
                f"request {row.pk} is {row.get_status_display()}; only a pending one is withdrawn",
                code="request_closed",
            )
        close_request(row, actor=actor, status=RequestStatus.WITHDRAWN, comment=said)
    return row


def check_preflight(version: Version) -> None:
    """Conflict with every reason why the version could not serve: its digests, its load, its golden rows."""
    if failures := preflight(selectors.version_loadable(version), ready_as=version.pk):
        message = f"{version} did not pass its pre-flight: {'; '.join(failures)}"
        raise Conflict(message[:2000], code="preflight_failed")
