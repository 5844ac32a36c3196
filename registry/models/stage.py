"""A version's stage is its open interval row, so history and the present cannot disagree."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from registry.choices import Cause, Stage
from registry.models.approval import PromotionRequest
from registry.models.model import DeployPolicy, RegisteredModel
from registry.models.version import Version


class StageIntervalQuerySet(models.QuerySet["StageInterval"]):
    def open(self) -> StageIntervalQuerySet:
        return self.filter(ended_at=None)

    def in_production_at(self, moment: datetime) -> StageIntervalQuerySet:
        """Which version served a model at a moment: one query."""
        began = models.Q(started_at__lte=moment, stage=Stage.PRODUCTION)
        return self.filter(began & (models.Q(ended_at=None) | models.Q(ended_at__gt=moment)))


class StageInterval(models.Model):
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="intervals")
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="intervals")
    stage = models.CharField(max_length=20, choices=Stage.choices)
    cause = models.CharField(max_length=20, choices=Cause.choices)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    reason = models.TextField(blank=True)
    request = models.ForeignKey(PromotionRequest, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    policy = models.ForeignKey(DeployPolicy, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    objects = StageIntervalQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version"], condition=models.Q(ended_at=None), name="one_open_interval_per_version"
            ),
            models.UniqueConstraint(
                fields=["model"],
                condition=models.Q(ended_at=None, stage=Stage.PRODUCTION),
                name="one_production_per_model",
            ),
            models.CheckConstraint(condition=models.Q(stage__in=Stage.values), name="stage_known"),
            models.CheckConstraint(
                condition=models.Q(ended_at=None) | models.Q(ended_at__gte=models.F("started_at")),
                name="interval_ends_after_it_starts",
            ),
        ]
        indexes = [models.Index(fields=["model", "stage", "started_at"], name="interval_history")]

    def __str__(self) -> str:
        return f"{self.version_id} {self.stage} from {self.started_at:%Y-%m-%d %H:%M}"
