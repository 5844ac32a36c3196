"""The fixed words of core."""

from __future__ import annotations

from django.db import models


class Role(models.TextChoices):
    VIEWER = "viewer", "viewer"
    DATA_SCIENTIST = "data_scientist", "data scientist"
    ML_ENGINEER = "ml_engineer", "ML engineer"
    VALIDATOR = "validator", "validator"
    APPROVER = "approver", "approver"
    AUDITOR = "auditor", "auditor"
    ADMIN = "admin", "admin"
    SERVICE = "service", "service"


class JobState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class DeliveryState(models.TextChoices):
    PENDING = "pending", "pending"
    DELIVERED = "delivered", "delivered"
    FAILED = "failed", "given up"


ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
