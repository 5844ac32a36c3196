"""The one table: which role may do which action in its team. Nothing else in the project grants anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from django.db import models

from mlops_site.core.choices import Role
from mlops_site.core.errors import FieldError, Forbidden, Invalid
from mlops_site.core.models import Membership, Team, User


class Action(StrEnum):
    VIEW = "view"  # models, versions, runs, data sets, requests
    SCHEMA_VIEW = "schema.view"
    METRICS_VIEW = "metrics.view"  # the figures of the team's models, as Prometheus scrapes them
    MODEL_CREATE = "model.create"
    MODEL_EDIT = "model.edit"
    MODEL_ARCHIVE = "model.archive"  # and bring back; what serves is taken out by who may roll back
    MODEL_TRANSFER = "model.transfer"  # offer to another team, and accept from one
    POLICY_SET = "policy.set"  # let candidates go to production without a person
    VERSION_REGISTER = "version.register"
    ANNOTATE = "annotate"  # tags, and what a version is described as
    ALIAS_SET = "alias.set"  # a protected alias asks for its roles too
    VERSION_DEPRECATE = "version.deprecate"
    STAGE_MOVE = "stage.move"  # the moves that need no approval
    PROMOTION_REQUEST = "promotion.request"
    PROMOTION_REVIEW = "promotion.review"
    PROMOTION_DECIDE = "promotion.decide"
    REPORT_ATTACH = "report.attach"  # a validation report, to a version
    ROLLBACK = "rollback"
    EVIDENCE_EXPORT = "evidence.export"  # a version's files, approvals and audit records, as one file
    INCIDENT_CLOSE = "incident.close"
    DATASET_CREATE = "dataset.create"
    DATASET_KEEP = "dataset.keep"  # owner and retention; delete the bytes of a version
    DATASET_HOLD = "dataset.hold"  # let nothing of a data set be deleted, and let go of it
    SOURCE_SET = "source.set"  # where data comes from by itself
    DATASET_CHECK = "dataset.check"  # put a version through its quality gate again
    EXPECTATIONS_SET = "expectations.set"  # what the quality gates ask of a data set
    GATE_WAIVE = "gate.waive"  # let a failed check of data pass for a while: nobody who trains may
    FEATURE_DEFINE = "feature.define"
    FEATURE_LOAD = "feature.load"  # values into a feature set
    DATASET_DOWNLOAD = "dataset.download"  # all of its rows
    RUN_REQUEST = "run.request"
    INPUT_VIEW = "input.view"  # what a claim's prediction was made of
    PREDICT = "predict"
    PREDICTION_LOG = "prediction.log"
    LABEL_LOG = "label.log"
    PREDICTION_KEEP = "prediction.keep"  # how long predictions, labels and features are kept
    PREDICTION_HOLD = "prediction.hold"  # let none of a model's be deleted, and let go of them
    MONITORING_RUN = "monitoring.run"
    SLICES_SET = "slices.set"  # by what a model's answers are told apart, and how far its levels may lie apart
    ALARM_SET = "alarm.set"  # how easily a model raises an alarm of drift
    LIMITS_SET = "limits.set"  # what the data of a model in production is held to
    ALERT_HANDLE = "alert.handle"  # acknowledge, assign, resolve, silence
    ALERT_RULES = "alert.rules"  # what raises alerts of a model, how severe they are, when they escalate
    CHANNEL_SET = "channel.set"  # where the team's alerts are told; try it out, send again what was given up
    RETRAIN_SET = "retrain.set"  # when a model is trained again by itself
    EXPERIMENT_SHADOW = "experiment.shadow"  # let a version score claims silently; conclude and stop such a test
    EXPERIMENT_LIVE = "experiment.live"  # let a challenger answer claims
    AUDIT_VIEW = "audit.view"
    PEOPLE_MANAGE = "people.manage"


A = Action
_READ = frozenset({A.VIEW, A.SCHEMA_VIEW, A.METRICS_VIEW})
_SCIENCE = _READ | {
    A.INPUT_VIEW,
    A.VERSION_REGISTER,
    A.DATASET_CREATE,
    A.DATASET_CHECK,
    A.FEATURE_DEFINE,
    A.FEATURE_LOAD,
    A.DATASET_DOWNLOAD,
    A.RUN_REQUEST,
    A.PROMOTION_REQUEST,
    A.REPORT_ATTACH,
    A.MONITORING_RUN,
    A.ALERT_HANDLE,
    A.ANNOTATE,
    A.ALIAS_SET,
    A.EXPERIMENT_SHADOW,
}
_SERVING = frozenset({A.PREDICT, A.PREDICTION_LOG, A.LABEL_LOG})
ROLE_ACTIONS: dict[str, frozenset[Action]] = {
    Role.VIEWER: _READ,
    Role.DATA_SCIENTIST: _SCIENCE,
    Role.ML_ENGINEER: _SCIENCE
    | _SERVING
    | {
        A.MODEL_CREATE,
        A.MODEL_EDIT,
        A.MODEL_ARCHIVE,
        A.STAGE_MOVE,
        A.VERSION_DEPRECATE,
        A.ALARM_SET,
        A.LIMITS_SET,
        A.RETRAIN_SET,
        A.SLICES_SET,
        A.ALERT_RULES,
        A.CHANNEL_SET,
        A.DATASET_KEEP,
        A.PREDICTION_KEEP,
        A.SOURCE_SET,
        A.EXPECTATIONS_SET,
        A.EXPERIMENT_LIVE,
        A.INCIDENT_CLOSE,
        A.EVIDENCE_EXPORT,
    },
    Role.VALIDATOR: _READ
    | {A.PROMOTION_REVIEW, A.REPORT_ATTACH, A.MONITORING_RUN, A.INCIDENT_CLOSE, A.ANNOTATE, A.EVIDENCE_EXPORT}
    | {A.INPUT_VIEW, A.DATASET_CHECK, A.DATASET_DOWNLOAD, A.EXPECTATIONS_SET, A.GATE_WAIVE, A.SLICES_SET, A.LIMITS_SET}
    | {A.ALERT_RULES},
    Role.APPROVER: _READ
    | {A.PROMOTION_REVIEW, A.PROMOTION_DECIDE, A.ROLLBACK, A.INCIDENT_CLOSE, A.POLICY_SET, A.ALERT_HANDLE}
    | {A.ANNOTATE, A.ALIAS_SET, A.VERSION_DEPRECATE, A.MODEL_ARCHIVE, A.EVIDENCE_EXPORT, A.REPORT_ATTACH, A.INPUT_VIEW}
    | {A.DATASET_HOLD, A.PREDICTION_HOLD, A.GATE_WAIVE},
    Role.AUDITOR: _READ | {A.AUDIT_VIEW, A.EVIDENCE_EXPORT, A.INPUT_VIEW},
    Role.ADMIN: _READ | {A.PEOPLE_MANAGE, A.MODEL_TRANSFER},
    Role.SERVICE: _SERVING | {A.SCHEMA_VIEW, A.FEATURE_LOAD, A.METRICS_VIEW},
}

M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True)
class Actor:
    """Who acts, with the role in each team. A token narrows it to its team and scopes; the system has no roles
    and acts only where a service says so."""

    name: str
    user: User | None = None
    roles: dict[int, str] = field(default_factory=dict)
    scopes: frozenset[str] | None = None  # None: all that the role allows
    token_id: int | None = None  # of the token borne, if one is

    @classmethod
    def of(cls, user: User) -> Actor:
        roles = dict(Membership.objects.filter(user=user).values_list("team_id", "role")) if user.is_active else {}
        return cls(name=user.get_username(), user=user, roles=roles)

    @classmethod
    def system(cls, part: str) -> Actor:
        return cls(name=f"system:{part}")

    def may(self, action: Action, team_id: int) -> bool:
        role = self.roles.get(team_id)
        if role is None or (self.scopes is not None and action not in self.scopes):
            return False
        return action in ROLE_ACTIONS[role]

    def teams(self, action: Action) -> list[int]:
        return [team_id for team_id in self.roles if self.may(action, team_id)]


def visible(
    actor: Actor, rows: models.QuerySet[M], *, team: str = "team", action: Action = Action.VIEW
) -> models.QuerySet[M]:
    """The rows of the teams where the actor may do `action`; everyone else's do not exist."""
    return rows.filter(**{f"{team}__in": actor.teams(action)})


def require(actor: Actor, action: Action, team: Team, *, subject: str = "") -> None:
    """Raise Forbidden, with all that the audit needs to record the refusal."""
    if actor.may(action, team.pk):
        return
    role = actor.roles.get(team.pk, "no role")
    raise refused(
        actor,
        f"{action} in team {team.name} is not allowed to {role} {actor.name}"
        + ("" if actor.scopes is None or action in actor.scopes else " (the token's scopes leave it out)"),
        action=action,
        subject=subject or f"team:{team.name}",
        team=team,
    )


def refused(actor: Actor, detail: str, *, action: str, subject: str, team: Team, code: str = "forbidden") -> Forbidden:
    """A Forbidden that events.atomic records after the rollback."""
    error = Forbidden(detail, code=code)
    error.refusal = {"actor": actor, "action": f"{action}.refused", "subject": subject, "team": team.name, "code": code}
    return error


def team_for(actor: Actor, name: str | None, action: Action) -> Team:
    """The team named, or the only one the actor is in. Another's team is answered like one that does not exist."""
    teams = list(Team.objects.filter(pk__in=actor.roles))
    chosen = [t for t in teams if t.name == name] if name else teams
    if len(chosen) != 1:
        names = ", ".join(sorted(t.name for t in teams)) or "none"
        message = f"no team {name!r} of yours; yours: {names}" if name else f"team must be given; yours: {names}"
        raise Invalid(message, code="unknown_team", errors=[FieldError("team", "unknown_team", message)])
    require(actor, action, chosen[0])
    return chosen[0]


def person(actor: Actor) -> User:
    """The user behind an actor, where a service needs a person or a machine rather than the system."""
    if actor.user is None:
        raise Forbidden(f"{actor.name} has no user; a person or a machine with a token must do this")
    return actor.user
