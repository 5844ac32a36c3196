"""Promotion requests bound to what they are about, and the reviews that decide them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.choices import Role
from mlops_site.core.models import User
from registry.choices import Decision, RequestStatus, RiskTier
from registry.models.model import RegisteredModel
from registry.models.version import Version

REVIEWING_ROLES = (Role.APPROVER, Role.VALIDATOR)


class PromotionRequest(models.Model):
    """Asks to put a version into production. Only its status, and who closed it when, ever change."""

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="requests")
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="requests")
    status = models.CharField(max_length=20, choices=RequestStatus.choices, default=RequestStatus.PENDING)
    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    trainer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    evidence = models.JSONField()
    evidence_digest = models.CharField(max_length=64)
    artifact_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    class Meta:
        verbose_name = "approval"
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["version"],
                condition=models.Q(status=RequestStatus.PENDING),
                name="one_pending_request_per_version",
            ),
            models.CheckConstraint(condition=models.Q(status__in=RequestStatus.values), name="request_status_known"),
        ]

    def __str__(self) -> str:
        return f"{self.version} into production"

    @property
    def subject(self) -> str:
        return f"request:{self.pk}"


class Review(models.Model):
    """One person's decision. It carries copies of what the rule needs, kept true by trigger, so that the rule is a
    CHECK on the row itself."""

    request = models.ForeignKey(PromotionRequest, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=20, choices=[(r.value, r.label) for r in REVIEWING_ROLES])
    decision = models.CharField(max_length=20, choices=Decision.choices)
    comment = models.TextField(blank=True)
    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    trainer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    risk_tier = models.CharField(max_length=10, choices=RiskTier.choices)
    evidence_digest = models.CharField(max_length=64)
    artifact_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["request", "reviewer"], name="one_review_per_person"),
            models.CheckConstraint(condition=~models.Q(reviewer=models.F("requester")), name="four_eyes"),
            models.CheckConstraint(
                condition=models.Q(risk_tier=RiskTier.LOW)
                | (~models.Q(reviewer=models.F("author")) & ~models.Q(reviewer=models.F("trainer"))),
                name="four_eyes_beyond_low_risk",
            ),
            models.CheckConstraint(condition=models.Q(decision__in=Decision.values), name="decision_known"),
            models.CheckConstraint(
                condition=models.Q(role__in=[r.value for r in REVIEWING_ROLES]), name="reviewing_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.decision}"
