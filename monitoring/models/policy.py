"""When a model is trained again by itself, and what came of each reason to."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from mlops_site.core.models import Team, User
from monitoring.choices import DAY, WEEK, Outcome, Trigger
from monitoring.models.alert import Alert
from registry.models import RegisteredModel

_SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


class RetrainRules(models.Model):
    """The seed's four triggers; None switches one off. Runs are requested in the name of whoever set the policy."""

    enabled = models.BooleanField(default=True)
    performance_degradation = models.FloatField(null=True, blank=True, default=0.05, validators=_SHARE)
    data_drift_score = models.FloatField(null=True, blank=True, default=0.2, validators=_SHARE)
    prediction_volume_drop = models.FloatField(null=True, blank=True, default=0.5, validators=_SHARE)
    scheduled_interval = models.DurationField(null=True, blank=True, default=WEEK)
    cool_down = models.DurationField(default=DAY)
    min_labels = models.PositiveIntegerField(default=200)  # labelled predictions since the last training data
    daily_budget = models.PositiveIntegerField(null=True, blank=True)  # retrainings of a model in 24 hours; None: any
    keeps_training_rows = models.BooleanField(default=True)  # the data set before plus the new rows, or these alone
    new_rows_weight = models.FloatField(default=1.0)  # of a new row in training, where an old one weighs 1
    config_overrides = models.JSONField(default=dict, blank=True)  # fields of training/start
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True

    @property
    def is_set(self) -> bool:
        """Somebody set it, for the model or for its team."""
        return self.set_by_id is not None


class RetrainPolicy(RetrainRules):
    """A model's own policy, which overrides its team's. One that is not stored may stand for the team's."""

    model = models.OneToOneField(RegisteredModel, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name_plural = "retrain policies"

    def __str__(self) -> str:
        return f"retraining of {self.model}"

    @property
    def subject(self) -> str:
        return f"retrain_policy:{self.model.name}"

    @property
    def is_own(self) -> bool:
        """The model has it itself, not from its team."""
        return self.pk is not None


class TeamRetrainPolicy(RetrainRules):
    """What holds for every model of the team that has no policy of its own, and how many retrainings all of the team's
    models may start together."""

    team = models.OneToOneField(Team, on_delete=models.PROTECT, related_name="+")
    team_daily_budget = models.PositiveIntegerField(null=True, blank=True)  # in 24 hours; None: any number

    class Meta:
        verbose_name_plural = "team retrain policies"

    def __str__(self) -> str:
        return f"retraining in {self.team}"

    @property
    def subject(self) -> str:
        return f"team_retrain_policy:{self.team.name}"


class RetrainDecision(models.Model):
    """A reason to train again and what came of it: append-only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    trigger = models.CharField(max_length=30, choices=Trigger.choices)
    outcome = models.CharField(max_length=20, choices=Outcome.choices)
    reason = models.CharField(max_length=200)  # in words; the run's trigger_reason when taken
    detail = models.CharField(max_length=500, blank=True)  # why not, or how many labels were used
    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="decisions", null=True, blank=True)
    run_id = models.UUIDField(null=True)  # a training run
    dataset = models.CharField(max_length=80, blank=True)  # name@version
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    decided_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-decided_at"]
        indexes = [models.Index(fields=["model", "-decided_at"], name="decisions_of_model")]

    def __str__(self) -> str:
        return f"{self.reason}: {self.get_outcome_display()}"
