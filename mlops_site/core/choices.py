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


class Queue(models.TextChoices):
    """Whose workers take a job up: what is light, what computes, what wants a graphics card."""

    DEFAULT = "default", "default"
    CPU = "cpu", "cpu"
    GPU = "gpu", "gpu"


class DeliveryState(models.TextChoices):
    PENDING = "pending", "pending"
    DELIVERED = "delivered", "delivered"
    FAILED = "failed", "given up"


ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
