"""Alerts: one unresolved per model, rule and subject."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.utils import timezone

from mlops_site.core.choices import Role
from mlops_site.core.models import User
from monitoring.choices import UNRESOLVED, AlertStatus, Rule, Severity
from monitoring.models.report import Report
from registry.models import RegisteredModel, Version


class Alert(models.Model):
    """Something that somebody must look at. Raised again while unresolved, it counts up instead of standing twice."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    rule = models.CharField(max_length=20, choices=Rule.choices)
    subject_key = models.CharField(max_length=128, blank=True)  # a feature, a metric; "" is the whole model
    severity = models.CharField(max_length=10, choices=Severity.choices)
    status = models.CharField(max_length=15, choices=AlertStatus.choices, default=AlertStatus.OPEN)
    summary = models.CharField(max_length=300)
    evidence = models.JSONField(default=dict)  # the finding that raised it, as it was last seen
    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="alerts", null=True, blank=True)
    first_report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    group_key = models.UUIDField(null=True, blank=True, db_index=True)  # the alert that its group began with
    count = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    assignee = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    escalates_at = models.DateTimeField(null=True, blank=True)  # unless somebody acknowledges it before
    escalations = models.PositiveSmallIntegerField(default=0)  # steps that were taken
    escalated_to = models.CharField(max_length=20, choices=Role.choices, blank=True)  # by the last of them
    clean_reports = models.PositiveSmallIntegerField(default=0)  # scheduled reports in a row that did not find it
    clean_to = models.DateTimeField(null=True, blank=True)  # the end of the last one's window
    acknowledged_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    comment = models.TextField(blank=True)  # of the last of the two

    silenced_until: datetime | None = None  # the end of the silence that holds, where a selector says so

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "rule", "subject_key"],
                condition=models.Q(status__in=UNRESOLVED),
                name="one_unresolved_alert",
            ),
            models.CheckConstraint(condition=models.Q(status__in=AlertStatus.values), name="alert_status_known"),
        ]
        indexes = [
            models.Index(fields=["model", "-first_seen_at"], name="alerts_of_model"),
            # the sweep's only question
            models.Index(
                fields=["escalates_at"], name="alerts_to_escalate", condition=models.Q(status=AlertStatus.OPEN)
            ),
        ]

    def __str__(self) -> str:
        return self.summary

    @property
    def subject(self) -> str:
        """As the audit chain names it."""
        return f"alert:{self.pk}"
