"""What is expected of a data set's versions, what may be let pass for a while, and what the gates of runs found."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.db import models
from django.utils import timezone

from mlops_site.core.laws import Law, append_only, in_days
from mlops_site.core.models import User
from training.choices import Stage
from training.models.dataset import Dataset, DatasetVersion
from training.models.run import Run

MAX_WAIVED_DAYS = 90


class Expectations(models.Model):
    """One version of the document (see `ml.expectations`) that later versions of a data set are held to; append-only.
    The newest one holds."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="expectations")
    version = models.PositiveIntegerField()  # 1, 2, ...
    document = models.JSONField()
    digest = models.CharField(max_length=64)  # of the document's canonical JSON
    inferred_from = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    comment = models.CharField(max_length=500)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "expectations"
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "version"], name="one_expectations_per_number"),
        ]

    def __str__(self) -> str:
        return f"expectations {self.version} of {self.dataset}"


class WaiverQuerySet(models.QuerySet["Waiver"]):
    def in_force(self, *, on: date | None = None) -> WaiverQuerySet:
        """Neither revoked nor expired on the day (UTC)."""
        return self.filter(revoked_at=None, until__gte=on or datetime.now(UTC).date())


class Waiver(models.Model):
    """Somebody independent of training lets one check of a data set fail until a day; it is revoked, never edited."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="waivers")
    check_name = models.CharField(max_length=40)
    about = models.CharField(max_length=128, blank=True)  # a column; empty: the check is of the table or the model
    reason = models.CharField(max_length=500)
    until = models.DateField()  # the last day, UTC
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    revoked_because = models.CharField(max_length=500, blank=True)

    objects = WaiverQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["dataset", "until"], name="waivers_of_dataset")]

    def __str__(self) -> str:
        return f"waiver {self.pk} of {self.what} of {self.dataset}"

    @property
    def subject(self) -> str:
        return f"waiver:{self.pk}"

    @property
    def what(self) -> str:
        return f"{self.check_name} of {self.about}" if self.about else self.check_name

    @property
    def status(self) -> str:
        """revoked, expired or in force"""
        if self.revoked_at is not None:
            return "revoked"
        return "in force" if self.until >= datetime.now(UTC).date() else "expired"


class GateReport(models.Model):
    """What one quality gate found, with the waivers that held then; append-only. A run has one for each stage that it
    reached, by attempt; a data set version one for each time that it was checked again after its upload."""

    stage = models.CharField(max_length=12, choices=Stage.choices)
    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="gate_reports")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="gate_reports", null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    expectations = models.ForeignKey(Expectations, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    passed = models.BooleanField()
    report = models.JSONField()  # of findings.QualityReport
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["run"], name="gate_reports_of_run"),
            models.Index(fields=["dataset", "stage"], name="gate_reports_of_dataset"),
        ]

    def __str__(self) -> str:
        return f"{self.stage} gate of {self.run or self.dataset}"


_CHANGED = " OR ".join(
    f"NEW.{column} <> OLD.{column}"
    for column in ("id", "dataset_id", "check_name", "about", "reason", "until", "by_id", "created_at")
)
_INDEPENDENT = """EXISTS (SELECT 1 FROM training_dataset d
    JOIN core_membership s ON s.team_id = d.team_id AND s.user_id = NEW.by_id AND s.role IN ('validator', 'approver')
    WHERE d.id = NEW.dataset_id)"""
QUALITY_LAWS: list[Law] = [
    *append_only("training_expectations"),
    *append_only("training_gatereport"),
    Law(
        "training_waiver_lasts",
        "training_waiver",
        "INSERT",
        f"NEW.until > {in_days(MAX_WAIVED_DAYS)}",
        f"a waiver lasts at most {MAX_WAIVED_DAYS} days",
    ),
    Law(
        "training_waiver_by_others",
        "training_waiver",
        "INSERT",
        f"NOT {_INDEPENDENT}",
        "only a validator or an approver of its team waives a check of a data set",
    ),
    Law(
        "training_waiver_no_update",
        "training_waiver",
        "UPDATE",
        f"OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR {_CHANGED}",
        "a waiver is revoked once and never edited",
    ),
    *append_only("training_waiver")[1:],
]
