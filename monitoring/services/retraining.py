"""Training again: because a person asks, an alert says so, or the time has come."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, StewardError, Unavailable
from mlops_site.core.permissions import Action, Actor, require
from monitoring.choices import Outcome, Rule, Trigger
from monitoring.models import Alert, RetrainDecision, RetrainPolicy
from monitoring.selectors import policies as known
from monitoring.services.budgets import check_budget
from monitoring.services.material import made_for, row_kept, unblocked
from monitoring.services.policies import base_of, check_names, spec_with
from registry.models import RegisteredModel
from registry.services.guards import locked
from training.models import DatasetVersion, Run
from training.selectors import dataset_named
from training.services import request_run

log = logging.getLogger(__name__)
CHANGED = "policy_changed"
JITTER = timedelta(minutes=5)  # a schedule's tick may come a little before its interval has passed


class Reason(NamedTuple):
    """Why a policy wants a training; `said` becomes the run's trigger_reason."""

    trigger: Trigger
    said: str


def trigger_retraining(
    model: RegisteredModel,
    *,
    actor: Actor,
    trigger_reason: str,
    config_overrides: Mapping[str, Any] | None = None,
    dataset: str | None = None,
    alert: Alert | None = None,
    trigger: Trigger = Trigger.MANUAL,
) -> Run:
    """A queued run like the one that trained the version in production, with the overrides of the policy and then
    those given; the caller rings the bell. Without `dataset` the data set is made of the labelled predictions.

    The data set is prepared first and outside any transaction; the run, the decision and the data set's row are then
    written together under the model's lock, so that of two at the same moment one starts a run. One that its quality
    gate blocks is kept by itself, with its report, and the next retraining takes it once it passes.

    Raises Conflict `cooling_down`, `already_running`, `budget_spent`, `not_enough_labels`, `data_blocked`,
    `no_training_run`, `policy_changed`; Invalid, Forbidden.
    """
    with events.atomic():
        require(actor, Action.RUN_REQUEST, model.team, subject=model.subject)
    policy = known.policy_of(model)
    _check_free(model, policy)
    check_budget(model, policy)
    check_names(config_overrides or {})
    origin = known.origin_of(model)
    base = base_of(origin) if origin else {}
    made = None if dataset is not None else unblocked(made_for(model, origin, policy, actor), actor, alert)
    with locked(model) as row:
        _check_unchanged(row, policy)
        _check_free(row, policy)
        check_budget(row, policy)
        version = row_kept(made, row, actor, alert) if made else dataset_named(actor, dataset, team=row.team)
        asked = spec_with(row, version, base, policy.config_overrides, config_overrides or {})
        asked |= {"new_rows_weight": policy.new_rows_weight} if made and policy.keeps_training_rows else {}
        decision = RetrainDecision(model=row, trigger=trigger, outcome=Outcome.TAKEN, alert=alert)
        run = request_run(
            actor=actor,
            dataset=str(version),
            trigger_reason=trigger_reason,
            trigger=_identifiers(decision, alert),
            **{**asked, "model_name": row.name},
        )
        decision.reason, decision.run_id, decision.dataset = run.trigger_reason, run.pk, str(version)
        decision.detail = f"{made.labels:,} new labels" if made else "the data set was given"
        decision.decided_by = actor.user
        decision.save(force_insert=True)
    return run


def evaluate(alert: Alert) -> Run | None:
    """What the model's policy makes of an unresolved alert: a run, or a decision that says why not. None also where
    the alert is no reason by the policy, or has led to a run already."""
    policy = known.policy_of(alert.model)
    reason = reason_of(policy, alert) if policy.enabled else None
    if reason is None or not known.waiting_alerts(policy).filter(pk=alert.pk).exists():
        return None
    return _by_policy(policy, reason, alert)


def evaluate_schedule(policy: RetrainPolicy) -> Run | None:
    """Train again where the policy's interval has passed since the last training."""
    interval, last = policy.scheduled_interval, known.last_trained_at(policy.model)
    if not policy.enabled or interval is None or last is None or timezone.now() - last < interval - JITTER:
        return None
    said = f"scheduled_interval: the last training was asked for {last:%Y-%m-%d %H:%M} UTC"
    return _by_policy(policy, Reason(Trigger.SCHEDULED_INTERVAL, said))


def evaluate_policies() -> list[Run]:
    """Every policy in force: the alerts that still wait, then the interval. What could not be taken an hour ago (too
    few labels, say) is tried again here. At most one run a model, and what goes wrong with one stops no other."""
    found = []
    for policy in known.policies_in_force():
        try:
            runs = (run for alert in known.waiting_alerts(policy) if (run := evaluate(alert)))
            run = next(runs, None) or evaluate_schedule(policy)
        except Exception:
            log.exception("the retrain policy of %s could not be evaluated", policy.model)
            continue
        found += [run] if run else []
    return found


def reason_of(policy: RetrainPolicy, alert: Alert) -> Reason | None:
    """Which trigger of the policy the alert pulls, if any."""
    body: dict[str, Any] = alert.report.body if alert.report else {}
    if alert.rule == Rule.PERFORMANCE:
        drop, limit = alert.evidence.get("drop"), policy.performance_degradation
        name = alert.evidence.get("metric", alert.subject_key)
        return _reached(Trigger.PERFORMANCE_DEGRADATION, f"{name} fell by", drop, limit)
    if alert.rule == Rule.DRIFT:
        score = alert.report.overall_score if alert.report else None
        return _reached(Trigger.DATA_DRIFT_SCORE, "the drift score is", score, policy.data_drift_score)
    if alert.rule == Rule.VOLUME:
        change = (body.get("volume") or {}).get("change")
        drop = None if change is None else -change
        return _reached(Trigger.PREDICTION_VOLUME_DROP, "predictions fell by", drop, policy.prediction_volume_drop)
    return None


def _reached(trigger: Trigger, what: str, value: float | None, limit: float | None) -> Reason | None:
    if value is None or limit is None or value < limit:
        return None
    return Reason(trigger, f"{trigger.value}: {what} {value:.3g}, the policy's limit is {limit:g}"[:200])


def _by_policy(policy: RetrainPolicy, reason: Reason, alert: Alert | None = None) -> Run | None:
    """Ask in the name of whoever set the policy; what stands against it is written down, once."""
    model, actor = policy.model, Actor.of(policy.set_by)
    if not all(actor.may(action, model.team_id) for action in (Action.RUN_REQUEST, Action.DATASET_CREATE)):
        detail = f"{actor.name}, who set the policy, may no longer request runs in team {model.team.name}"
        _write_down(policy, reason, alert, Outcome.REFUSED, f"{detail}; somebody who may must set it again")
        return None
    try:
        return trigger_retraining(model, actor=actor, trigger_reason=reason.said, alert=alert, trigger=reason.trigger)
    except Unavailable:  # no decision: the next look may find the store again
        raise
    except StewardError as error:
        if error.code == CHANGED:  # the next look is by the policy as it is now
            return None
        outcome = Outcome(error.code) if error.code in Outcome.values else Outcome.REFUSED
        blocked = _held_back(model) if error.code == "data_blocked" else None
        _write_down(policy, reason, alert, outcome, error.detail, dataset=str(blocked or ""))
        return None


def _held_back(model: RegisteredModel) -> DatasetVersion | None:
    origin = known.origin_of(model)
    return known.held_back(model, origin.dataset) if origin else None


def _write_down(
    policy: RetrainPolicy, reason: Reason, alert: Alert | None, outcome: Outcome, detail: str, *, dataset: str = ""
) -> None:
    """One row for each alert and outcome, and of a schedule one for each change of outcome: not one every hour. Nothing
    of an alert that has led to a run: another worker, who looked at the same moment, was first. `dataset` is the one
    that was held back; another one that is held back is another outcome."""
    with locked(policy.model) as model:
        said = RetrainDecision.objects.filter(model=model, trigger=reason.trigger, alert=alert)
        repeats = said.filter(outcome=outcome) if alert else said.order_by("-decided_at")[:1]
        same = (row for row in repeats if (row.outcome, row.dataset) == (outcome, dataset))
        if any(row.decided_at >= policy.updated_at for row in same):
            return
        if alert and alert.decisions.filter(outcome=Outcome.TAKEN).exists():
            return
        RetrainDecision.objects.create(
            model=model,
            trigger=reason.trigger,
            outcome=outcome,
            reason=reason.said,
            detail=detail[:500],
            dataset=dataset,
            alert=alert,
            decided_by=policy.set_by,
        )


def _check_unchanged(model: RegisteredModel, policy: RetrainPolicy) -> None:
    """Under the model's lock: the policy is the one by which the data were prepared, which may have taken minutes.
    Somebody may have switched it off."""
    now = known.policy_of(model)
    if (now.set_by_id, now.is_set and now.updated_at) != (policy.set_by_id, policy.is_set and policy.updated_at):
        message = f"the retrain policy of {model.name} was changed while the data were prepared; ask again"
        raise Conflict(message, code=CHANGED)


def _check_free(model: RegisteredModel, policy: RetrainPolicy) -> None:
    """Nothing of the model is being trained, and the last retraining is long enough ago."""
    if run := known.run_under_way(model):
        message = f"run {run.pk} of {model.name} is {run.state}; one at a time"
        raise Conflict(message, code="already_running")
    taken = known.last_taken(model)
    if taken is None:
        return
    until = taken.decided_at + policy.cool_down
    if (left := (until - timezone.now()).total_seconds()) > 0:
        message = f"{model.name} was retrained {taken.decided_at:%Y-%m-%d %H:%M} UTC; it is cooling down until"
        raise Conflict(f"{message} {until:%Y-%m-%d %H:%M} UTC", code="cooling_down", retry_after_secs=int(left) + 1)


def _identifiers(decision: RetrainDecision, alert: Alert | None) -> dict[str, str]:
    named = {"alert": str(alert.pk)} if alert else {}
    return {**named, "decision": str(decision.pk), "trigger": str(decision.trigger)}
