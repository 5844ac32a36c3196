"""Promotion requests bound to what they are about, and the reviews that decide them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from mlops_site.core.choices import Role
from mlops_site.core.models import Membership, User
from registry.choices import IN_FAVOUR, Decision, RequestStatus, RiskTier
from registry.models.model import RegisteredModel
from registry.models.version import Version

REVIEWING_ROLES = (Role.APPROVER, Role.VALIDATOR)


def expiry() -> datetime:
    """When a request that is filed now stops waiting."""
    return timezone.now() + timedelta(days=settings.APPROVAL_DAYS)


class PromotionRequest(models.Model):
    """Asks to put a version into production. Only its status, and who closed it when, ever change."""

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="requests")
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="requests")
    status = models.CharField(max_length=20, choices=RequestStatus.choices, default=RequestStatus.PENDING)
    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    trainer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()  # what changed
    why_material = models.TextField(blank=True)  # empty where `reason` answers both questions
    evidence = models.JSONField()
    evidence_digest = models.CharField(max_length=64)
    artifact_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(default=expiry)
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

    @property
    def is_expired(self) -> bool:
        """Whether nobody may decide it any more, swept or not."""
        return self.status == RequestStatus.PENDING and self.expires_at <= timezone.now()


class ReviewQuerySet(models.QuerySet["Review"]):
    def with_standing(self) -> ReviewQuerySet:
        """Each review with `stands`: its reviewer still holds the role, and has seen every validation report."""
        role = Membership.objects.filter(user=OuterRef("reviewer"), team=OuterRef("request__model__team"))
        held = role.filter(role=OuterRef("role"), user__is_active=True)
        reports = Version.objects.filter(pk=OuterRef("request__version")).annotate(n=models.Count("reports"))
        seen = Q(reports_seen=Coalesce(models.Subquery(reports.values("n")[:1]), 0))
        said = models.ExpressionWrapper(Exists(held) & seen & Q(voided_at=None), output_field=models.BooleanField())
        # As a keyword, django-stubs would take it for a second declaration of the attribute.
        return self.annotate(**{"stands": said})  # noqa: PIE804

    def open_conditions(self) -> ReviewQuerySet:
        """The conditions of approvals that were carried out, and that nobody has closed; the earliest date first."""
        rows = self.filter(decision=Decision.APPROVE_WITH_CONDITIONS, request__status=RequestStatus.APPROVED)
        return rows.filter(closing=None, voided_at=None).order_by("revalidate_on", "pk")


class Review(models.Model):
    """One person's decision. It carries copies of what the rule needs, kept true by trigger, so that the rule is a
    CHECK on the row itself. It never changes, but is void once its ground is gone (see `services.voiding`)."""

    stands: bool = True  # by with_standing()

    request = models.ForeignKey(PromotionRequest, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=20, choices=[(r.value, r.label) for r in REVIEWING_ROLES])
    decision = models.CharField(max_length=30, choices=Decision.choices)
    comment = models.TextField(blank=True)
    condition = models.TextField(blank=True)
    revalidate_on = models.DateField(null=True, blank=True)
    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    trainer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    risk_tier = models.CharField(max_length=10, choices=RiskTier.choices)
    evidence_digest = models.CharField(max_length=64)
    artifact_digest = models.CharField(max_length=64)
    reports_seen = models.PositiveIntegerField(default=0)  # validation reports of the version: none is ever removed
    reports_digest = models.CharField(max_length=64, blank=True)  # of the list of their digests
    created_at = models.DateTimeField(default=timezone.now)
    voided_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(blank=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "reviewer"], condition=models.Q(voided_at=None), name="one_review_per_person"
            ),
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
            models.CheckConstraint(
                condition=(
                    models.Q(decision=Decision.APPROVE_WITH_CONDITIONS, revalidate_on__isnull=False)
                    & ~models.Q(condition="")
                )
                | (
                    ~models.Q(decision=Decision.APPROVE_WITH_CONDITIONS)
                    & models.Q(condition="", revalidate_on__isnull=True)
                ),
                name="condition_with_its_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.decision}"

    @property
    def is_in_favour(self) -> bool:
        return self.decision in IN_FAVOUR

    @property
    def is_overdue(self) -> bool:
        """Whether the day on which the condition had to be looked at has passed."""
        return self.revalidate_on is not None and self.revalidate_on < timezone.now().date()


class ConditionClosing(models.Model):
    """Who found that a condition is met, and why. Append-only."""

    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="closing")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    note = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=~models.Q(note=""), name="closing_says_why")]

    def __str__(self) -> str:
        return f"condition {self.review_id} closed by {self.by}"
