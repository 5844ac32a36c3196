"""Stage moves: by a person and by a standing policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlops_site.core import events
from mlops_site.core.choices import Role
from mlops_site.core.models import Membership
from mlops_site.core.permissions import Action, Actor, person, require
from registry import selectors
from registry.artifacts.scorer import preflight
from registry.choices import AutoDeploy, Cause, RiskTier, Stage
from registry.models import DeployPolicy, PromotionRequest, RegisteredModel, Version
from registry.services.approvals import (
    file_request,
    request_promotion,
    say_promoted,
    void_pending,
)
from registry.services.evidence import gather
from registry.services.guards import MAX_REASON, check_live, locked, one_of, reason_given, touch
from registry.services.intervals import check_move, current_stage, move, swap


class Promotion(NamedTuple):
    """What a move came to: done (`promoted`), waiting for people (`pending_approval`, with the request), or not made
    by a policy (`held_back`, with why)."""

    status: str
    version: Version
    stage: str
    request: PromotionRequest | None = None
    why: str = ""

    @property
    def warnings(self) -> list[str]:
        """What callers would notice once the version is in production."""
        change = self.request.evidence.get("signature_change") if self.request is not None else None
        return selectors.interface_warnings(change)


def move_stage(
    version: Version,
    *,
    actor: Actor,
    target_stage: str,
    reason: str,
    why_material: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Promotion:
    """Move a version by the table of moves. Production is never set here: a request for it is filed instead, to
    which `why_material` belongs.

    Conflict `illegal_move` names the current stage.
    """
    one_of("target_stage", target_stage, list(Stage.values))
    if target_stage == Stage.PRODUCTION:
        request = request_promotion(version, actor=actor, reason=reason, why_material=why_material, evidence=evidence)
        return Promotion("pending_approval", version, str(Stage.STAGING), request)
    why = reason_given(reason)
    with locked(version.model) as model:
        require(actor, Action.STAGE_MOVE, model.team, subject=version.subject)
        check_live(model)
        check_move(version, target_stage)
        if current_stage(version) == Stage.STAGING:
            void_pending(version, actor=actor, why=f"moved to {target_stage}: {why}")
        move(version, to=target_stage, cause=Cause.MOVED, by=person(actor), reason=why)
        touch(model)
        data = {"stage": target_stage, "cause": str(Cause.MOVED), "reason": why}
        events.record("version.stage_changed", actor=actor, subject=version.subject, team=model.team.name, data=data)
    return Promotion("promoted", version, target_stage)


def deploy_by_policy(version: Version, *, actor: Actor, gate: Mapping[str, Any]) -> Promotion:
    """Take a candidate as far as its gate and the newest policy allow; `held_back` when it stays where it is.

    `gate` holds `passed` and is kept as evidence. Reach `staging` files a promotion request in the actor's name;
    reach `production` needs no person, unless a law or the pre-flight stands against it.
    """
    reason = f"gate passed for run {version.lineage['run'][:8]}" if "run" in version.lineage else "gate passed"
    failures = preflight(version) if gate["passed"] else []
    evidence = gather(version, {"gate": dict(gate)})
    with locked(version.model) as model:
        check_live(model)
        policy = selectors.policy(model)
        if held := _held_back(version, policy, gate, failures):
            events.record(
                "version.held_back", actor=actor, subject=version.subject, team=model.team.name, data={"reason": held}
            )
            return Promotion("held_back", version, current_stage(version), why=held)
        assert policy is not None
        move(version, to=Stage.STAGING, cause=Cause.POLICY, by=policy.set_by, reason=reason, policy=policy)
        data = {"stage": str(Stage.STAGING), "cause": str(Cause.POLICY), "policy": policy.pk, "reason": reason}
        events.record("version.stage_changed", actor=actor, subject=version.subject, team=model.team.name, data=data)
        if _may_decide(policy, version, model):
            return _deploy(version, policy, actor, reason)
        require(actor, Action.PROMOTION_REQUEST, model.team, subject=version.subject)
        material = said_by(gate)
        request = file_request(version, actor=actor, reason=reason, why_material=material, evidence=evidence)
        touch(model)
        return Promotion("pending_approval", version, str(Stage.STAGING), request)


def said_by(gate: Mapping[str, Any]) -> str:
    """Why a candidate matters, in the words of the checks that it passed."""
    passed = [f"{check['name']}: {check['message']}" for check in gate.get("checks", []) if check["level"] == "pass"]
    return "\n".join(passed)[:MAX_REASON]


def _held_back(version: Version, policy: DeployPolicy | None, gate: Mapping[str, Any], failures: list[str]) -> str:
    if not gate["passed"]:
        return "the gate did not pass"
    if (stage := current_stage(version)) != Stage.DEVELOPMENT:  # the same content was registered before
        return f"the version is in {stage} already"
    if policy is None or policy.reach == AutoDeploy.NONE:
        return "the deploy policy keeps candidates in development"
    return f"the pre-flight failed: {'; '.join(failures)}"[:1000] if failures else ""


def _may_decide(policy: DeployPolicy, version: Version, model: RegisteredModel) -> bool:
    """What the law asks of a policy that decides: set by an approver of today who neither made nor trained it."""
    if policy.reach != AutoDeploy.PRODUCTION or model.risk_tier == RiskTier.HIGH:
        return False
    if model.risk_tier != RiskTier.LOW and policy.set_by_id in (version.created_by_id, version.trained_by_id):
        return False
    return Membership.objects.filter(user=policy.set_by_id, team=model.team_id, role=Role.APPROVER).exists()


def _deploy(version: Version, policy: DeployPolicy, actor: Actor, reason: str) -> Promotion:
    replaced = selectors.in_production(version.model)
    swap(version, replaced, cause=Cause.POLICY, by=policy.set_by, reason=reason, policy=policy)
    say_promoted(version, replaced, actor=actor, cause=Cause.POLICY, reason=f"{reason}; policy {policy.pk}")
    return Promotion("promoted", version, str(Stage.PRODUCTION))
