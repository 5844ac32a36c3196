"""What raises alerts of a model, where that differs from the defaults, and what is silent for a while."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from monitoring.choices import Rule
from registry.models import RegisteredModel


class AlertRule(models.Model):
    """One kind of alert of one model. `overrides` holds what somebody has set, checked by the service that writes it;
    the rest follows the defaults of its kind (selectors.rules), also when those change."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    rule = models.CharField(max_length=20, choices=Rule.choices)
    overrides = models.JSONField(default=dict)
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "rule"], name="one_rule_of_a_kind")]

    def __str__(self) -> str:
        return f"{self.get_rule_display()} of {self.model}"


class Silence(models.Model):
    """Nothing new is delivered about alerts of the model that it matches, from `starts_at` to before `ends_at`; they
    still count. It also holds for alerts that do not exist yet."""

    id = models.BigAutoField(primary_key=True)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    rule = models.CharField(max_length=20, choices=Rule.choices, blank=True)  # "": every kind
    subject_key = models.CharField(max_length=128, blank=True)  # "": the whole model, as of a drift alert
    every_subject = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    ended_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)  # before its time

    class Meta:
        ordering = ["-starts_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="silence_has_a_length")
        ]
        indexes = [models.Index(fields=["model", "ends_at"], name="silences_of_model")]

    def __str__(self) -> str:
        return f"silence {self.pk} of {self.model}"

    @property
    def subject(self) -> str:
        """As the audit chain names it."""
        return f"silence:{self.pk}"
