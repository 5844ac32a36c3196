"""The end of a run: the gate, then the version, its policy and the run's own end in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Actor
from registry import selectors as registry
from registry.choices import Stage
from registry.models import Version
from registry.services import Candidate, deploy_by_policy, register_version
from training import signals
from training.models import Run
from training.pipeline import gate
from training.pipeline.data import Rows
from training.pipeline.evidence import Files, Winner, candidate_of
from training.pipeline.steps import say

TRIES = 3


def register(run: Run, winner: Winner, rows: Rows, files: Files) -> None:
    """Judge the winner against the version that serves now and register it. Should another version go into
    production meanwhile, it is judged again. Raises LeaseLost, Forbidden for a requester who left the team."""
    candidate = candidate_of(run, winner, rows, files)
    for attempt in range(1, TRIES + 1):
        serving = registry.in_production(run.model)
        verdict = gate.judged(run, winner, rows, serving)
        try:
            _write(run, _with_parent(candidate, serving), verdict)
        except Conflict as error:
            if error.code != "evidence_outdated" or attempt == TRIES:
                raise
            say(run, f"judged again: {error.detail}")
        else:
            return


def _with_parent(candidate: Candidate, serving: Version | None) -> Candidate:
    parent = None if serving is None else serving.number
    return replace(candidate, lineage={**candidate.lineage, "parent": parent})


def _write(run: Run, candidate: Candidate, verdict: dict[str, Any]) -> None:
    """All or nothing: a process killed in here has registered nothing, one killed after it is not run again."""
    actor = Actor.of(run.requested_by)
    with jobs.fenced(run):
        version = register_version(run.model, actor=actor, candidate=candidate)
        outcome = _deployed(version, actor, verdict)
        say(run, f"registered {version.number}, {outcome['stage']}: {outcome['reason']}"[:500])
        known = {**verdict, "outcome": outcome}
        jobs.finish(run, JobState.SUCCEEDED, step="done", progress=1.0, version=version, gate=known)
        signals.run_succeeded.send(sender=Run, run=run, version=version)


def _deployed(version: Version, actor: Actor, verdict: dict[str, Any]) -> dict[str, Any]:
    """How far the gate and the policy let the version go: {"stage", "reason", "request", "policy"}."""
    policy = registry.policy(version.model)
    said = None if policy is None else {"id": policy.pk, "reach": policy.reach, "set_by": policy.set_by.get_username()}
    stage = Version.objects.with_stage().get(pk=version.pk).stage
    if stage != Stage.DEVELOPMENT:  # the same content as an earlier run's: what became of that stands
        return _outcome(stage, f"the same content is {version.number} already", said)
    promotion = deploy_by_policy(version, actor=actor, gate=verdict)
    if promotion.status == "held_back":
        failed = [check["message"] for check in verdict["checks"] if check["level"] == "fail"]
        return _outcome(stage, ": ".join([promotion.why, *([" ".join(failed)] if failed else [])]), said)
    if promotion.request is None:
        return _outcome(promotion.stage, "by policy", said)
    waits = f"approval {promotion.request.pk} waits for a decision"
    return _outcome(promotion.stage, waits, said, request=promotion.request.pk)


def _outcome(stage: str, reason: str, policy: dict[str, Any] | None, request: int | None = None) -> dict[str, Any]:
    return {"stage": stage, "reason": reason, "request": request, "policy": policy}
