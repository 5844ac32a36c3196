"""Feature sets: what is known of units (people, claims) at one time, defined once for training and serving."""

from __future__ import annotations

import re
from datetime import timedelta

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from mlops_site.core.laws import Law, append_only
from mlops_site.core.models import Team, User
from registry.models import Version
from training.models.dataset import DATASET_NAME, DatasetVersion

REFERENCE = re.compile(rf"({DATASET_NAME})(?:@([1-9][0-9]{{0,8}}))?")


class FeatureSet(models.Model):
    """A name. What it means is in its versions."""

    name = models.CharField(max_length=63, unique=True, validators=[RegexValidator(f"^{DATASET_NAME}$")])
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        return f"feature_set:{self.name}"


class FeatureSetVersion(models.Model):
    """A definition, which never changes: another one is the next version, with values of its own."""

    feature_set = models.ForeignKey(FeatureSet, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()  # 1, 2, ... named claim_history@2
    entity = models.CharField(max_length=63)  # what a key names: person, claim
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    description = models.TextField(blank=True)
    source = models.CharField(max_length=500, blank=True)  # where the values come from, in words or as name@version
    freshness_secs = models.PositiveBigIntegerField(null=True, blank=True)  # older values are stale; null: never
    columns = models.JSONField()  # [{"name", "kind": number or category, "description", "pii"}]
    digest = models.CharField(max_length=64)  # of the definition
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["feature_set", "version"], name="one_feature_set_version_per_number"),
        ]

    def __str__(self) -> str:
        return f"{self.feature_set.name}@{self.version}"

    @property
    def freshness(self) -> timedelta | None:
        """How old a value may be; None where it never becomes stale."""
        return None if self.freshness_secs is None else timedelta(seconds=self.freshness_secs)

    @property
    def kinds(self) -> dict[str, str]:
        """Column -> number or category, in the definition's order."""
        return {column["name"]: column["kind"] for column in self.columns}

    @property
    def personal(self) -> frozenset[str]:
        """The columns with personal data."""
        return frozenset(column["name"] for column in self.columns if column["pii"])


class FeatureLoad(models.Model):
    """Rows that came in together, and when by our clock. Pushes of values are told here and not in the audit chain,
    as predictions are told in their own rows."""

    feature_set = models.ForeignKey(FeatureSetVersion, on_delete=models.PROTECT, related_name="loads", db_index=False)
    received_at = models.DateTimeField()
    accepted = models.PositiveIntegerField()
    duplicate = models.PositiveIntegerField()
    rejected = models.PositiveIntegerField()
    newest_event_at = models.DateTimeField()  # of the rows that were accepted
    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    digest = models.CharField(max_length=64, blank=True)  # of the bytes of a file or a data set; pushed rows have none
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["feature_set", "-received_at"], name="loads_of_feature_set")]

    def __str__(self) -> str:
        return f"{self.accepted} rows of {self.feature_set}"


class FeatureRow(models.Model):
    """The values of one unit as they were at `event_at`, known from `ingested_at` on. A correction is another row with
    a later `ingested_at`; nothing is overwritten."""

    feature_set = models.ForeignKey(FeatureSetVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    entity = models.CharField(max_length=128)
    event_at = models.DateTimeField()
    ingested_at = models.DateTimeField()
    values = models.JSONField()
    load = models.ForeignKey(FeatureLoad, on_delete=models.PROTECT, related_name="+", db_index=False)

    class Meta:
        constraints = [
            # Its index, read backwards, is also what finds the latest value of a unit.
            models.UniqueConstraint(
                fields=["feature_set", "entity", "event_at", "ingested_at"], name="one_feature_row_per_moment"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entity} at {self.event_at}"


class FeatureUse(models.Model):
    """That a model's version reads a feature set, or that a data set was made with it: written with it, for good."""

    feature_set = models.ForeignKey(FeatureSetVersion, on_delete=models.PROTECT, related_name="uses")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "feature_set"], name="one_use_per_version"),
            models.UniqueConstraint(fields=["dataset", "feature_set"], name="one_use_per_dataset"),
            models.CheckConstraint(
                condition=models.Q(version=None) ^ models.Q(dataset=None), name="a_use_is_of_a_version_or_a_dataset"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version or self.dataset} with {self.feature_set}"


def _laws() -> list[Law]:
    """Definitions, loads and uses are for good. Rows never change, but may be deleted, for people may ask for that."""
    rows = [law for law in append_only("training_featurerow") if law.event != "DELETE"]
    kept = ("training_featuresetversion", "training_featureload", "training_featureuse")
    return [*(law for table in kept for law in append_only(table)), *rows]


FEATURE_LAWS = _laws()
