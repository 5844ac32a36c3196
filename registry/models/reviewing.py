"""What is around a review: reports that are attached, people who are away, who was told what."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from mlops_site.core.models import Team, User
from registry.choices import NoticeKind
from registry.models.approval import PromotionRequest
from registry.models.version import Version


class ValidationReport(models.Model):
    """A file that somebody wrote about a version, kept by digest. Append-only: a review counts how many it has seen."""

    STORED_UNDER: ClassVar = ("digest",)  # see core.holdings

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="reports")
    name = models.CharField(max_length=120)
    media_type = models.CharField(max_length=40)
    digest = models.CharField(max_length=64)  # sha256 of the bytes, in hex
    size = models.PositiveBigIntegerField()  # bytes
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "validation report"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["version", "digest"], name="one_report_per_content"),
        ]

    def __str__(self) -> str:
        return self.name


class DelegationQuerySet(models.QuerySet["Delegation"]):
    def active(self) -> DelegationQuerySet:
        """Those in force now."""
        now = timezone.now()
        return self.filter(ended_at=None, starts_at__lte=now, ends_at__gt=now)


class Delegation(models.Model):
    """While a reviewer is away, what waits for them is shown and told to somebody of the same role. It gives nobody a
    right: who decides is judged by what they are and did themselves."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    delegate = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)  # taken back before its end

    objects = DelegationQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(person=models.F("delegate")), name="delegate_is_another"),
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="delegation_ends_after_it_starts"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delegate} for {self.person}"

    @property
    def subject(self) -> str:
        return f"delegation:{self.pk}"


class Notice(models.Model):
    """That somebody was told of a request, once a kind."""

    request = models.ForeignKey(PromotionRequest, on_delete=models.PROTECT, related_name="notices")
    recipient = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=NoticeKind.choices)
    on_behalf_of = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["request", "recipient", "kind"], name="told_once_a_kind"),
            models.CheckConstraint(condition=models.Q(kind__in=NoticeKind.values), name="notice_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.recipient} {self.get_kind_display()}"
