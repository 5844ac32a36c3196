"""Experiments and the splits that they had, one after the other."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from abtesting.choices import Design, Ending, Status, Verdict
from abtesting.stats.assignment import Split
from mlops_site.core.models import User
from registry.models import PromotionRequest, RegisteredModel, Version


class Experiment(models.Model):
    """Production version A against challenger B, from the moment it is made until it is concluded or stopped. What it
    was asked is fixed at the start; what it came to is frozen at the end."""

    name = models.CharField(max_length=100)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    version_a = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    version_b = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    design = models.CharField(max_length=10, choices=Design.choices)
    hypothesis = models.TextField(blank=True)
    metrics = models.JSONField()  # names of the success metrics, see abtesting.stats.measures
    margin = models.FloatField(null=True, blank=True)  # how much worse B may be; null: it must be better
    min_samples = models.PositiveIntegerField()  # labelled units of an arm, or pairs, before there is a verdict
    planned_labels = models.PositiveBigIntegerField(null=True, blank=True)  # by the power calculation; tunes the tests
    costs = models.JSONField(null=True, blank=True)  # {"false_positive", "false_negative"}, for the metric cost
    guardrails = models.JSONField(default=dict)  # name -> {"warn", "hold", "roll_back"}, each a number or null
    group_by = models.CharField(max_length=128, blank=True)  # feature or slice whose groups fairness_gap compares
    groups = models.JSONField(
        default=list
    )  # those of group_by in the order in which they were met; all else is "other"
    follow_up_days = models.PositiveIntegerField(null=True, blank=True)  # equal for all units; null: what is known now
    holdout = models.FloatField(default=0.0)  # share of the units that take no part
    steps = models.JSONField(default=list)  # B's shares of a ramp, rising
    step_hours = models.FloatField(null=True, blank=True)  # that each step of a ramp lasts at least
    salt = models.CharField(max_length=100)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    ending = models.CharField(max_length=15, choices=Ending.choices, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=timezone.now)
    ended_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.TextField(blank=True)
    mismatch_at = models.DateTimeField(null=True, blank=True)  # a proven sample ratio mismatch blocks for good
    verdict = models.CharField(max_length=10, choices=Verdict.choices, blank=True)  # of a concluded one
    result = models.JSONField(null=True, blank=True)  # frozen at the end
    result_digest = models.CharField(max_length=64, blank=True)
    request = models.ForeignKey(PromotionRequest, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["model", "name"], name="one_experiment_per_name"),
            models.UniqueConstraint(
                fields=["model"], condition=Q(status=Status.RUNNING), name="one_running_experiment_per_model"
            ),
            models.CheckConstraint(condition=~Q(version_a=F("version_b")), name="experiment_of_two_versions"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="experiment_status_known"),
            models.CheckConstraint(condition=Q(design__in=Design.values), name="experiment_design_known"),
            models.CheckConstraint(
                condition=Q(status=Status.RUNNING, ended_at=None, ending="", result=None)
                | Q(status=Status.CONCLUDED, ending=Ending.CONCLUDED, ended_at__isnull=False, result__isnull=False)
                | Q(status=Status.STOPPED, ended_at__isnull=False, verdict="") & ~Q(ending__in=("", Ending.CONCLUDED)),
                name="experiment_ends_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name}: {self.name}"

    @property
    def subject(self) -> str:
        """As the audit chain names it."""
        return f"experiment:{self.pk}"

    @property
    def is_running(self) -> bool:
        return self.status == Status.RUNNING

    @property
    def is_paired(self) -> bool:
        return self.design == Design.SHADOW


class Epoch(models.Model):
    """One split of an experiment, from a change of the split to the next. Sums are kept by epoch and never pooled
    blindly. Of a shadow test `share_b` is the share of the units whose claims B scores as well."""

    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="epochs")
    number = models.PositiveIntegerField()
    share_b = models.FloatField()
    draw = models.PositiveIntegerField()  # the epoch in which the units were last drawn
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)  # null: the ramp
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["experiment", "number"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "number"], name="one_epoch_per_number"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(ended_at=None), name="one_open_epoch_per_experiment"
            ),
            models.CheckConstraint(condition=Q(share_b__gt=0, share_b__lte=1), name="epoch_share_is_a_share"),
        ]

    def __str__(self) -> str:
        return f"epoch {self.number}: {self.share_b:.0%} in B"

    def split(self, experiment: Experiment) -> Split:
        """How it deals units; the experiment is given, so that nobody reads it once a row."""
        return Split(experiment.salt, self.share_b, experiment.holdout, self.number, self.draw)
