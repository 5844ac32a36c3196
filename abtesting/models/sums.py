"""What the arms' answers add up to, which units were seen, and what B said silently."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from abtesting.choices import Arm, ShadowState
from abtesting.models.experiment import Epoch


class ArmSums(models.Model):
    """Sum over the units of one arm that were answered on `day`, as far as it became known `days_later` days after:
    see `abtesting.stats.cohorts`, and `abtesting.selectors.claims.Spot.key` for which of them are kept as one. `group`
    is "" for all units, or a group of the experiment's `group_by`. Of strays `units` counts answers, and there is no
    tally."""

    # in all three, `epoch` is found by the first column of an index below
    epoch = models.ForeignKey(Epoch, on_delete=models.PROTECT, related_name="sums", db_index=False)
    arm = models.CharField(max_length=5, choices=Arm.choices)
    group = models.CharField(max_length=64, blank=True)
    day = models.DateField()  # UTC
    days_later = models.PositiveIntegerField()
    units = models.PositiveBigIntegerField(default=0)  # seen in this epoch for the first time
    tally = models.BinaryField(default=bytes)  # abtesting.stats.tally, of `pairs` abtesting.stats.pairs

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["epoch", "arm", "group", "day", "days_later"], name="one_sum_per_cohort")
        ]

    def __str__(self) -> str:
        return f"{self.arm} {self.day} + {self.days_later}"


class Unit(models.Model):
    """A unit that took part in an epoch, and in which arm: the sample ratio counts units, not claims."""

    epoch = models.ForeignKey(Epoch, on_delete=models.PROTECT, related_name="+", db_index=False)
    unit_id = models.CharField(max_length=128)
    arm = models.CharField(max_length=5, choices=Arm.choices)
    in_both = models.BooleanField(default=False)  # an answer of the other arm reached it as well

    class Meta:
        constraints = [models.UniqueConstraint(fields=["epoch", "unit_id"], name="one_arm_per_unit")]
        indexes = [models.Index(fields=["epoch"], name="units_in_both_arms", condition=Q(in_both=True))]

    def __str__(self) -> str:
        return f"{self.unit_id}: {self.arm}"


class ShadowAnswer(models.Model):
    """A claim that A has answered and B scores silently. The row is the queue: a trigger writes it in the transaction
    of the answer (see laws.py). `is_counted` and `labels` are what the sums hold of the claim, so that B's answer and
    the labels may come in any order, each adding what is new."""

    prediction_id = models.UUIDField(primary_key=True)
    epoch = models.ForeignKey(Epoch, on_delete=models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=10, choices=ShadowState.choices, default=ShadowState.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)  # by a worker that scores it, if it lives
    prediction = models.JSONField(null=True)
    score = models.FloatField(null=True)
    probabilities = models.JSONField(null=True)
    decision = models.JSONField(null=True)
    threshold = models.FloatField(null=True)
    error_code = models.CharField(max_length=80, blank=True)
    latency_ms = models.FloatField(null=True)
    queued_at = models.DateTimeField(default=timezone.now)
    scored_at = models.DateTimeField(null=True)
    is_counted = models.BooleanField(default=False)  # whether A's answer is in the sums
    labels = models.JSONField(null=True)  # revisions in the sums, each as abtesting.selectors.claims.Step

    class Meta:
        indexes = [
            # the scorer's only user: what is to be scored, oldest first
            models.Index(fields=["queued_at"], name="shadow_answers_queued", condition=Q(state=ShadowState.QUEUED)),
            models.Index(fields=["epoch", "state"], name="shadow_answers_of_epoch"),
        ]

    def __str__(self) -> str:
        return f"{self.prediction_id}: {self.state}"
