"""Models themselves: made, edited, and how far their candidates may go without a person."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.db import IntegrityError

from mlops_site.core import events
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.permissions import Action, Actor, person, require, team_for
from registry.choices import AutoDeploy, RiskTier, TaskType
from registry.models import DeployPolicy, RegisteredModel
from registry.models.model import MODEL_NAME
from registry.services.guards import locked, one_of, owner_named, reason_given, touch
from registry.services.words import index_model

_TIERS = list(RiskTier.values)
WORDS = ("description", "purpose", "intended_use", "limitations")
"""What people say of a model in free text."""


def create_model(
    *,
    actor: Actor,
    name: str,
    task_type: str,
    description: str = "",
    purpose: str = "",
    risk_tier: str = RiskTier.MEDIUM,
    team: str | None = None,
    auto_deploy: str = AutoDeploy.STAGING,
) -> RegisteredModel:
    """A model without versions, owned by its maker. Conflict `name_taken`; Invalid names the field."""
    _check_words(name, task_type, risk_tier, auto_deploy)
    about = _words({"description": description, "purpose": purpose})
    try:
        with events.atomic():
            owning, by = team_for(actor, team, Action.MODEL_CREATE), person(actor)
            model = RegisteredModel.objects.create(
                name=name,
                team=owning,
                task_type=task_type,
                **about,
                risk_tier=risk_tier,
                owner=by,
                created_by=by,
            )
            index_model(model)
            DeployPolicy.objects.create(model=model, reach=auto_deploy, set_by=by, reason="set when the model was made")
            data = {"task_type": task_type, "risk_tier": risk_tier, "auto_deploy": auto_deploy}
            events.record("model.created", actor=actor, subject=model.subject, team=owning.name, data=data)
    except IntegrityError as error:
        message = f"the name {name!r} is taken; choose another"
        raise Conflict(message, code="name_taken", errors=[FieldError("name", "name_taken", message)]) from error
    return model


def _check_words(name: str, task_type: str, risk_tier: str, auto_deploy: str) -> None:
    if not re.fullmatch(MODEL_NAME, name):
        raise Invalid.on("name", f"name must match {MODEL_NAME} but got {name[:80]!r}", code="bad_name")
    one_of("task_type", task_type, list(TaskType.values))
    one_of("risk_tier", risk_tier, _TIERS)
    # Production without a person is for an approver to allow, later and with a reason.
    one_of("auto_deploy", auto_deploy, [AutoDeploy.NONE, AutoDeploy.STAGING])


def edit_model(
    model: RegisteredModel,
    *,
    actor: Actor,
    owner: str | None = None,
    risk_tier: str | None = None,
    **words: str | None,
) -> RegisteredModel:
    """Change what is given; `words` are any of WORDS. Lowering the risk tier weakens the quorum, so it takes an
    approver."""
    with locked(model) as row:
        changes = _words({name: text for name, text in words.items() if text is not None})
        if changes or owner is not None:
            require(actor, Action.MODEL_EDIT, row.team, subject=row.subject)
        for name, text in changes.items():
            setattr(row, name, text)
        if owner is not None:
            row.owner = owner_named(row.team, owner)
            changes["owner"] = owner
        if risk_tier is not None and one_of("risk_tier", risk_tier, _TIERS) != row.risk_tier:
            _set_tier(row, risk_tier, actor)
            changes["risk_tier"] = risk_tier
        if changes:
            row.save(update_fields=[*WORDS, "owner", "risk_tier"])
            index_model(row)
            touch(row)
            events.record("model.edited", actor=actor, subject=row.subject, team=row.team.name, data=changes)
    return row


def _words(given: Mapping[str, str]) -> dict[str, str]:
    """The texts, trimmed; TypeError for one that a model does not have."""
    if unknown := set(given) - set(WORDS):
        raise TypeError(f"words must be of {', '.join(WORDS)} but got {', '.join(sorted(unknown))}")
    return {name: reason_given(text, field=name, needed=False) for name, text in given.items()}


def _set_tier(row: RegisteredModel, risk_tier: str, actor: Actor) -> None:
    is_lower = _TIERS.index(risk_tier) < _TIERS.index(row.risk_tier)
    is_approver = actor.may(Action.POLICY_SET, row.team_id)
    require(actor, Action.POLICY_SET if is_lower or is_approver else Action.MODEL_EDIT, row.team, subject=row.subject)
    waiting = row.requests.filter(status="pending").count()
    if waiting:
        message = (
            f"the risk tier of {row} must stay {row.risk_tier} while {waiting} promotion requests wait for a decision"
        )
        raise Conflict(message, code="requests_pending")
    row.risk_tier = risk_tier


def set_deploy_policy(model: RegisteredModel, *, actor: Actor, reach: str, reason: str) -> DeployPolicy:
    """How far candidates that pass their gate go by themselves from now on; `production` is for an approver."""
    one_of("reach", reach, list(AutoDeploy.values))
    with locked(model) as row:
        to_production = reach == AutoDeploy.PRODUCTION
        is_approver = actor.may(Action.POLICY_SET, row.team_id)
        needed = Action.POLICY_SET if to_production or is_approver else Action.MODEL_EDIT
        require(actor, needed, row.team, subject=row.subject)
        if to_production and row.risk_tier == RiskTier.HIGH:
            message = (
                f"{row} is of high risk: two people decide on each version, so no policy may; lower its risk tier first"
            )
            raise Conflict(message, code="high_risk")
        policy = DeployPolicy.objects.create(
            model=row, reach=reach, set_by=person(actor), reason=reason_given(reason, needed=to_production)
        )
        touch(row)
        data = {"reach": reach, "reason": policy.reason}
        events.record("model.policy_set", actor=actor, subject=row.subject, team=row.team.name, data=data)
    return policy
