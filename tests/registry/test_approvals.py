"""Requests and reviews: three people, the quorum, and what the approval is bound to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord, Membership
from mlops_site.core.permissions import Action, Actor
from registry import selectors, services
from registry.models import PromotionRequest, RegisteredModel, Review, Version
from registry.services.intervals import current_stage
from tests.people import actor as person
from tests.registry.parts import candidate, into_production, user
from tests.registry.test_stages import damage


def approve(request: PromotionRequest, actor: Actor) -> PromotionRequest:
    return services.review_request(request, actor=actor, decision="approve", comment="read it all")


def test_production_is_asked_for_not_set(staged: Version, author: Actor) -> None:
    done = services.move_stage(staged, actor=author, target_stage="production", reason="better")
    assert (done.status, done.stage) == ("pending_approval", "staging")
    assert done.request is not None
    assert done.request.status == "pending"
    assert current_stage(staged) == "staging"


def test_the_evidence_holds_the_registrys_own_facts(served: Version, model: RegisteredModel, author: Actor) -> None:
    version = services.register_version(model, actor=author, candidate=candidate(1, lineage={"run": "r1"}))
    services.move_stage(version, actor=author, target_stage="staging", reason="x")
    false = {"replaces": "9.9.9", "gate": {"passed": True}}
    request = services.request_promotion(version, actor=author, reason="better", evidence=false)
    evidence = request.evidence
    assert evidence["replaces"] == "1.0.0"
    assert evidence["gate"] == {"passed": True}
    assert evidence["artifact"]["digest"] == version.artifact_id == request.artifact_digest
    assert evidence["lineage"] == {"run": "r1"}
    assert [row["name"] for row in evidence["comparison"]["metrics"]] == ["roc_auc"]


def test_another_person_approves_and_the_version_is_in_production(request_: PromotionRequest, approver: Actor) -> None:
    done = approve(request_, approver)
    assert (done.status, done.closed_by) == ("approved", user(approver))
    assert selectors.in_production(request_.model) == request_.version
    review = Review.objects.get()
    assert (review.role, review.evidence_digest) == ("approver", request_.evidence_digest)
    actions = AuditRecord.objects.filter(team=request_.model.team.name).values_list("action", flat=True)
    assert list(actions)[-3:] == ["promotion.reviewed", "promotion.approved", "version.stage_changed"]


@pytest.mark.parametrize("decision", ["approve", "reject", "request_changes"])
def test_the_requester_decides_nothing_and_the_refusal_is_kept(
    request_: PromotionRequest, author: Actor, decision: str
) -> None:
    with pytest.raises(Forbidden, match="you requested, registered and trained") as raised:
        services.review_request(request_, actor=author, decision=decision, comment="mine")
    assert raised.value.code == "four_eyes"
    kept = AuditRecord.objects.get(action="promotion.review.refused")
    assert (kept.actor, kept.subject, kept.data["code"]) == ("author", request_.subject, "four_eyes")
    assert not Review.objects.exists()


def test_an_outsider_neither_sees_nor_decides(request_: PromotionRequest, outsider: Actor) -> None:
    assert not selectors.requests(outsider)
    with pytest.raises(NotFound):
        selectors.request_numbered(outsider, request_.pk)
    with pytest.raises(Forbidden) as raised:
        approve(request_, outsider)
    assert raised.value.code == "forbidden"


@pytest.mark.parametrize("part", ["author", "trainer"])
@pytest.mark.parametrize("tier", ["low", "medium", "high"])
def test_author_and_trainer_may_decide_at_low_risk_only(author: Actor, part: str, tier: str) -> None:
    """One who was a scientist and is an approver now."""
    maker = person("maker", "ml_engineer")
    model = services.create_model(actor=author, name="claims", task_type="classification", risk_tier=tier)
    registers = {"author": (maker, None), "trainer": (author, user(maker))}[part]
    version = services.register_version(model, actor=registers[0], candidate=candidate(), trained_by=registers[1])
    services.move_stage(version, actor=author, target_stage="staging", reason="x")
    request = services.request_promotion(version, actor=author, reason="x")
    Membership.objects.filter(user=user(maker)).update(role="approver")
    now = Actor.of(user(maker))
    if tier == "low":
        assert approve(request, now).status == "approved"
    else:
        with pytest.raises(Forbidden) as raised:
            approve(request, now)
        assert raised.value.code == "four_eyes"


def test_high_risk_needs_an_approver_and_a_validator(author: Actor, approver: Actor, validator: Actor) -> None:
    model = services.create_model(actor=author, name="claims", task_type="classification", risk_tier="high")
    version = services.register_version(model, actor=author, candidate=candidate())
    services.move_stage(version, actor=author, target_stage="staging", reason="x")
    request = services.request_promotion(version, actor=author, reason="x")
    assert approve(request, approver).status == "pending"
    assert selectors.missing_roles("high", request.reviews.all()) == ["validator"]
    assert selectors.in_production(model) is None
    with pytest.raises(Conflict) as raised:
        approve(request, approver)
    assert raised.value.code == "reviewed_already"
    assert approve(request, validator).status == "approved"
    assert selectors.in_production(model) == version


def test_a_validator_alone_is_no_quorum(request_: PromotionRequest, validator: Actor, approver: Actor) -> None:
    assert approve(request_, validator).status == "pending"
    assert approve(request_, approver).status == "approved"


@pytest.mark.parametrize(("decision", "status"), [("reject", "rejected"), ("request_changes", "changes_requested")])
@pytest.mark.parametrize("role", ["approver", "validator"])
def test_an_objection_closes_the_request(
    request_: PromotionRequest, author: Actor, decision: str, status: str, role: str
) -> None:
    reviewer = person("reviewer", role)
    with pytest.raises(Invalid, match="comment must say why"):
        services.review_request(request_, actor=reviewer, decision=decision)
    done = services.review_request(request_, actor=reviewer, decision=decision, comment="site 5 is worse")
    assert done.status == status
    with pytest.raises(Conflict) as raised:
        approve(request_, person("second", "approver"))
    assert raised.value.code == "request_closed"
    again = services.request_promotion(request_.version, actor=author, reason="changed")
    assert again.status == "pending"


def test_withdrawn_by_the_requester_only(request_: PromotionRequest, author: Actor, approver: Actor) -> None:
    with pytest.raises(Forbidden) as raised:
        services.withdraw_request(request_, actor=approver)
    assert raised.value.code == "not_requester"
    assert services.withdraw_request(request_, actor=author).status == "withdrawn"
    with pytest.raises(Conflict):
        services.withdraw_request(request_, actor=author)


def test_a_token_without_the_scope_withdraws_nothing(request_: PromotionRequest, author: Actor) -> None:
    narrow = replace(author, scopes=frozenset({Action.VIEW}))
    with pytest.raises(Forbidden, match="scopes leave it out"):
        services.withdraw_request(request_, actor=narrow)
    request_.refresh_from_db()
    assert request_.status == "pending"


def test_one_request_at_a_time(request_: PromotionRequest, author: Actor) -> None:
    with pytest.raises(Conflict, match=f"request {request_.pk} asks for claims 1.0.0 already") as raised:
        services.request_promotion(request_.version, actor=author, reason="again")
    assert raised.value.code == "already_requested"


def test_a_request_whose_comparison_is_outdated_is_void(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    """Two candidates wait; once one is in production, the other's evidence compares with a version that is gone."""
    requests = []
    for seed in (1, 2):
        version = services.register_version(model, actor=author, candidate=candidate(seed))
        services.move_stage(version, actor=author, target_stage="staging", reason="x")
        requests.append(services.request_promotion(version, actor=author, reason="x"))
    approve(requests[0], approver)
    with pytest.raises(Conflict, match=r"compares 1\.0\.2 with 1\.0\.0, but 1\.0\.1 is in production") as raised:
        approve(requests[1], approver)
    assert raised.value.code == "evidence_outdated"
    requests[1].refresh_from_db()
    assert requests[1].status == "void"
    assert selectors.in_production(model) == requests[0].version
    again = services.request_promotion(requests[1].version, actor=author, reason="still better")
    assert approve(again, approver).status == "approved"


def test_a_failed_preflight_leaves_everything_as_it_was(request_: PromotionRequest, approver: Actor) -> None:
    damage(request_.version.artifact_id)
    with pytest.raises(Conflict, match="pre-flight") as raised:
        approve(request_, approver)
    assert raised.value.code == "preflight_failed"
    request_.refresh_from_db()
    assert request_.status == "pending"
    assert not Review.objects.exists()


def test_golden_rows_that_answer_otherwise_fail_the_preflight(
    model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    golden = [{"features": {"age": 50.0, "visits": 3.0}, "prediction": 1, "score": 0.999999}]
    version = services.register_version(model, actor=author, candidate=candidate(golden=golden))
    services.move_stage(version, actor=author, target_stage="staging", reason="x")
    request = services.request_promotion(version, actor=author, reason="x")
    with pytest.raises(Conflict, match="1 of 1 golden rows differ"):
        approve(request, approver)


def test_an_unknown_decision_is_refused(request_: PromotionRequest, approver: Actor) -> None:
    with pytest.raises(Invalid, match="decision must be one of"):
        services.review_request(request_, actor=approver, decision="wave_through")


def test_what_waits_for_me(request_: PromotionRequest, author: Actor, approver: Actor, validator: Actor) -> None:
    def waiting(actor: Actor) -> list[PromotionRequest]:
        return list(selectors.requests(actor, waiting_for_me=True))

    assert (waiting(author), waiting(approver), waiting(validator)) == ([], [request_], [request_])
    approve(request_, validator)
    assert (waiting(approver), waiting(validator)) == ([request_], [])
    approve(request_, approver)
    assert waiting(approver) == []


def test_the_sentence_says_why(request_: PromotionRequest, author: Actor, approver: Actor) -> None:
    told = selectors.decidable(request_, approver)
    assert told.may
    assert told.why.endswith("It needs one approver because its risk tier is medium; 0 of 1 given.")
    assert selectors.decidable(request_, author).code == "four_eyes"
    viewer = selectors.decidable(request_, person("vera", "viewer"))
    assert (viewer.code, viewer.may) == ("forbidden", False)


def test_a_second_promotion_replaces_the_first(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    second = into_production(model, author=author, approver=approver, seed=1)
    assert (current_stage(served), current_stage(second)) == ("archived", "production")
