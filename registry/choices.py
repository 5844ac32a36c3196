"""The fixed words of the registry and the one table of stage moves."""

from __future__ import annotations

from django.db import models


class TaskType(models.TextChoices):
    CLASSIFICATION = "classification", "classification"
    REGRESSION = "regression", "regression"


class RiskTier(models.TextChoices):
    LOW = "low", "low"
    MEDIUM = "medium", "medium"
    HIGH = "high", "high"


class Stage(models.TextChoices):
    DEVELOPMENT = "development", "development"
    STAGING = "staging", "staging"
    PRODUCTION = "production", "production"
    ARCHIVED = "archived", "archived"


SERVED = (Stage.PRODUCTION, Stage.STAGING)
"""Where a version may be asked: one in development has passed no check, one that is archived was taken out of use."""


class AutoDeploy(models.TextChoices):
    NONE = "none", "stays in development"
    STAGING = "staging", "to staging"
    PRODUCTION = "production", "to production"


class Cause(models.TextChoices):
    """Why a stage interval was opened."""

    REGISTERED = "registered", "registered"
    MOVED = "moved", "moved"
    APPROVED = "approved", "approved request"
    POLICY = "policy", "standing policy"
    REPLACED = "replaced", "replaced by a promotion"
    ROLLED_BACK = "rolled_back", "brought back by a rollback"
    WITHDRAWN = "withdrawn", "taken out by a rollback"
    RETIRED = "retired", "taken out with its model"


class TransferStatus(models.TextChoices):
    PENDING = "pending", "pending"
    ACCEPTED = "accepted", "accepted"
    DECLINED = "declined", "declined"
    WITHDRAWN = "withdrawn", "withdrawn"


class IncidentKind(models.TextChoices):
    """What went wrong with a version."""

    ROLLED_BACK = "rolled_back", "taken out by a rollback"
    DAMAGED_ARTIFACT = "damaged_artifact", "artifact damaged"


# as severe as alerts are
INCIDENT_SEVERITY = {IncidentKind.ROLLED_BACK: "high", IncidentKind.DAMAGED_ARTIFACT: "critical"}


class ArtifactFormat(models.TextChoices):
    SKOPS = "skops", "skops"
    ONNX = "onnx", "ONNX"
    PARQUET = "parquet", "Parquet"


class RequestStatus(models.TextChoices):
    PENDING = "pending", "pending"
    APPROVED = "approved", "approved"
    CHANGES_REQUESTED = "changes_requested", "changes requested"
    REJECTED = "rejected", "rejected"
    WITHDRAWN = "withdrawn", "withdrawn"
    VOID = "void", "void"
    EXPIRED = "expired", "expired"


class Decision(models.TextChoices):
    APPROVE = "approve", "approve"
    APPROVE_WITH_CONDITIONS = "approve_with_conditions", "approve with conditions"
    REQUEST_CHANGES = "request_changes", "request changes"
    REJECT = "reject", "reject"


LONGEST_DAYS = 90  # a request waits at most, whatever the operator sets
IN_FAVOUR = (Decision.APPROVE, Decision.APPROVE_WITH_CONDITIONS)


class NoticeKind(models.TextChoices):
    """Why somebody was told of a request."""

    OPENED = "opened", "was asked to decide"
    DAY_3 = "day_3", "was reminded after 3 days"
    DAY_7 = "day_7", "was reminded after 7 days"
    EXPIRING = "expiring", "was told that it expires"


# from -> to, the moves that a person may ask for; a promotion's replacement is archived, a rollback's goes to staging
MOVES: dict[str, tuple[str, ...]] = {
    Stage.DEVELOPMENT: (Stage.STAGING, Stage.ARCHIVED),
    Stage.STAGING: (Stage.PRODUCTION, Stage.DEVELOPMENT, Stage.ARCHIVED),
    Stage.PRODUCTION: (),
    Stage.ARCHIVED: (),
}
