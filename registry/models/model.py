"""A model: a name that a team answers for, and what its candidates may do without a person."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from mlops_site.core.models import Team, User
from registry.choices import AutoDeploy, RiskTier, TaskType

MODEL_NAME = r"[a-z][a-z0-9_]{1,62}"


class RegisteredModel(models.Model):
    names: Any = None  # selectors.models.Names, where a selector has read them with it

    name = models.CharField(max_length=63, unique=True, validators=[RegexValidator(f"^{MODEL_NAME}$")])
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    task_type = models.CharField(max_length=20, choices=TaskType.choices)
    description = models.TextField(blank=True)
    purpose = models.TextField(blank=True)  # the decision that it serves
    intended_use = models.TextField(blank=True)  # on whom, by whom, and what it must not be used for
    limitations = models.TextField(blank=True)
    risk_tier = models.CharField(max_length=10, choices=RiskTier.choices, default=RiskTier.MEDIUM)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    archived_at = models.DateTimeField(null=True, blank=True)  # it takes no versions and no requests since
    tags = models.JSONField(default=dict)  # what the rows of ModelTag say, so that a list need not ask for them
    words = models.TextField(blank=True)  # all that a search looks at, in small letters

    class Meta:
        verbose_name = "model"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=models.Q(task_type__in=TaskType.values), name="model_task_type_known"),
            models.CheckConstraint(condition=models.Q(risk_tier__in=RiskTier.values), name="model_risk_tier_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        return f"model:{self.name}"


class DeployPolicy(models.Model):
    """How far a candidate that passes its gate may go by itself. Append-only: the newest row is in force."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="policies")
    reach = models.CharField(max_length=20, choices=AutoDeploy.choices)
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "deploy policies"
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.model}: {self.reach}"
