"""Models: made, edited, and how far their candidates go without a person."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord, Membership
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import PromotionRequest, RegisteredModel, StageInterval, Version
from registry.services.intervals import current_stage
from tests.kept import kept_fixture
from tests.people import actor as person
from tests.registry.parts import candidate, user
from tests.registry.test_stages import damage

PASSED, FAILED = {"passed": True, "checks": []}, {"passed": False, "checks": []}


def test_a_new_model_lets_candidates_into_staging(model: RegisteredModel, author: Actor) -> None:
    policy = selectors.policy(model)
    assert policy is not None
    assert (policy.reach, policy.set_by, model.owner, model.risk_tier) == (
        "staging",
        user(author),
        user(author),
        "medium",
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "Claims"}, "name"),
        ({"name": "../claims"}, "name"),
        ({"name": "c"}, "name"),
        ({"name": "claims\n"}, "name"),
        ({"name": "c" * 64}, "name"),
        ({"task_type": "ranking"}, "task_type"),
        ({"risk_tier": "none"}, "risk_tier"),
        ({"auto_deploy": "production"}, "auto_deploy"),
        ({"description": "x" * 2001}, "description"),
        ({"description": "a\0"}, "description"),
        ({"team": "elsewhere"}, "team"),
    ],
)
def test_what_a_model_cannot_be(author: Actor, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as raised:
        services.create_model(actor=author, **{"name": "claims", "task_type": "classification", **changes})
    assert [error.field for error in raised.value.errors] == [field]
    assert not RegisteredModel.objects.exists()


def test_a_name_is_taken_once(model: RegisteredModel, author: Actor) -> None:
    other = person("olga", "ml_engineer", team="elsewhere")
    for actor in (author, other):
        with pytest.raises(Conflict, match="'claims' is taken") as raised:
            services.create_model(actor=actor, name="claims", task_type="regression")
        assert raised.value.code == "name_taken"


@pytest.mark.parametrize("role", ["viewer", "data_scientist", "validator", "approver", "auditor", "admin", "service"])
@pytest.mark.django_db
def test_only_engineers_make_models(role: str) -> None:
    with pytest.raises(Forbidden):
        services.create_model(actor=person("pat", role), name="claims", task_type="classification")


def test_editing(model: RegisteredModel, author: Actor, approver: Actor, outsider: Actor) -> None:
    person("dana", "data_scientist")
    edited = services.edit_model(model, actor=author, description=" what it is ", owner="dana", risk_tier="high")
    assert (edited.description, edited.owner.username, edited.risk_tier) == ("what it is", "dana", "high")
    assert AuditRecord.objects.get(action="model.edited").data == {
        "description": "what it is", "owner": "dana", "risk_tier": "high",
    }  # fmt: skip
    with pytest.raises(Invalid, match="owner must be an active person in team claims"):
        services.edit_model(model, actor=author, owner="outsider")
    for actor in (approver, outsider):
        with pytest.raises(Forbidden):
            services.edit_model(model, actor=actor, description="mine")


def test_lowering_the_risk_takes_an_approver(model: RegisteredModel, author: Actor, approver: Actor) -> None:
    with pytest.raises(Forbidden):
        services.edit_model(model, actor=author, risk_tier="low")
    assert services.edit_model(model, actor=approver, risk_tier="low").risk_tier == "low"
    assert services.edit_model(model, actor=author, risk_tier="high").risk_tier == "high"


def test_the_risk_stays_while_a_request_waits(request_: PromotionRequest, approver: Actor) -> None:
    with pytest.raises(Conflict, match="must stay medium while 1 promotion requests wait") as raised:
        services.edit_model(request_.model, actor=approver, risk_tier="low")
    assert raised.value.code == "requests_pending"


def test_a_policy_for_production_is_an_approvers(model: RegisteredModel, author: Actor, approver: Actor) -> None:
    with pytest.raises(Forbidden):
        services.set_deploy_policy(model, actor=author, reach="production", reason="trust me")
    with pytest.raises(Invalid, match="reason must say why"):
        services.set_deploy_policy(model, actor=approver, reach="production", reason="")
    services.set_deploy_policy(model, actor=approver, reach="production", reason="a year without a fault")
    services.set_deploy_policy(model, actor=author, reach="none", reason="")
    assert list(model.policies.values_list("reach", flat=True)) == ["none", "production", "staging"]


def test_a_high_risk_model_has_no_policy_for_production(model: RegisteredModel, author: Actor, approver: Actor) -> None:
    services.edit_model(model, actor=author, risk_tier="high")
    with pytest.raises(Conflict, match="two people decide") as raised:
        services.set_deploy_policy(model, actor=approver, reach="production", reason="x")
    assert raised.value.code == "high_risk"


@kept_fixture
def scientist(db: None) -> Actor:
    """Trains and requests, and may neither move stages nor make models."""
    return person("dana", "data_scientist")


@kept_fixture
def trained(model: RegisteredModel, scientist: Actor) -> Version:
    return services.register_version(model, actor=scientist, candidate=candidate(lineage={"run": "r1"}))


def deploy(version: Version, actor: Actor, gate: dict[str, Any] = PASSED) -> services.Promotion:
    return services.deploy_by_policy(version, actor=actor, gate=gate)


def test_a_passed_gate_takes_a_candidate_to_staging_and_asks(trained: Version, scientist: Actor) -> None:
    done = deploy(trained, scientist)
    assert done.request is not None
    assert (done.status, done.stage) == ("pending_approval", "staging")
    assert (done.request.requester, done.request.evidence["gate"]) == (user(scientist), PASSED)
    last = selectors.intervals(trained).last()
    assert last is not None
    assert (last.stage, last.cause, last.reason) == ("staging", "policy", "gate passed for run r1")
    assert last.policy == selectors.policy(trained.model)


@pytest.mark.parametrize(
    ("gate", "reach", "reason"),
    [
        (FAILED, "staging", "the gate did not pass"),
        (PASSED, "none", "the deploy policy keeps candidates in development"),
    ],
)
def test_otherwise_it_stays_and_the_reason_is_kept(
    trained: Version, author: Actor, scientist: Actor, gate: dict[str, Any], reach: str, reason: str
) -> None:
    services.set_deploy_policy(trained.model, actor=author, reach=reach, reason="")
    held = deploy(trained, scientist, gate)
    assert (held.status, held.stage, held.why) == ("held_back", "development", reason)
    assert current_stage(trained) == "development"
    assert not PromotionRequest.objects.exists()
    assert AuditRecord.objects.get(action="version.held_back").data == {"reason": reason}


def test_a_failed_preflight_holds_it_back(trained: Version, scientist: Actor) -> None:
    damage(trained.artifact_id)
    assert deploy(trained, scientist).status == "held_back"
    assert AuditRecord.objects.get(action="version.held_back").data["reason"].startswith("the pre-flight failed: skops")


def test_content_that_was_registered_before_is_left_where_it_is(trained: Version, scientist: Actor) -> None:
    first = deploy(trained, scientist)
    assert (deploy(trained, scientist).status, first.status) == ("held_back", "pending_approval")
    assert AuditRecord.objects.get(action="version.held_back").data["reason"] == "the version is in staging already"
    assert PromotionRequest.objects.get() == first.request


def test_a_policy_of_an_approver_decides_for_production(served: Version, scientist: Actor, approver: Actor) -> None:
    model = served.model
    policy = services.set_deploy_policy(model, actor=approver, reach="production", reason="a year without a fault")
    version = services.register_version(model, actor=scientist, candidate=candidate(1))
    done = deploy(version, scientist)
    assert (done.status, done.stage, done.request) == ("promoted", "production", None)
    assert selectors.in_production(model) == version
    assert current_stage(served) == "archived"
    now = StageInterval.objects.get(version=version, ended_at=None)
    assert (now.cause, now.policy, now.by) == ("policy", policy, user(approver))


@pytest.mark.parametrize("obstacle", ["setter left", "setter trained it", "high risk"])
def test_a_policy_that_may_not_decide_asks_instead(
    model: RegisteredModel, author: Actor, approver: Actor, scientist: Actor, obstacle: str
) -> None:
    services.set_deploy_policy(model, actor=approver, reach="production", reason="x")
    trainer = user(approver) if obstacle == "setter trained it" else None
    version = services.register_version(model, actor=scientist, candidate=candidate(), trained_by=trainer)
    if obstacle == "setter left":
        Membership.objects.filter(user=user(approver)).delete()
    if obstacle == "high risk":
        services.edit_model(model, actor=author, risk_tier="high")
    done = deploy(version, scientist)
    assert (done.status, done.stage) == ("pending_approval", "staging")
