"""Immutable versions and the content-addressed artifacts that they name."""

from __future__ import annotations

import re
from typing import ClassVar

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from registry.choices import ArtifactFormat
from registry.models.model import RegisteredModel

_PART = r"(?:0|[1-9][0-9]{0,8})"
VERSION_NUMBER = rf"{_PART}\.{_PART}\.{_PART}"  # without leading zeros: a version has one spelling


def parts_of(number: str) -> tuple[int, int, int] | None:
    """Major, minor and patch of a number written like 1.20.3; None for any other text.

    >>> parts_of("1.20.3"), parts_of("01.2.3")
    ((1, 20, 3), None)
    """
    if not re.fullmatch(VERSION_NUMBER, number):
        return None
    major, minor, patch = map(int, number.split("."))
    return major, minor, patch


class Artifact(models.Model):
    STORED_UNDER: ClassVar = ("digest",)  # see core.holdings

    digest = models.CharField(max_length=64, primary_key=True)  # sha256 of the bytes, in hex
    format = models.CharField(max_length=10, choices=ArtifactFormat.choices)
    size = models.PositiveBigIntegerField()  # bytes
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.format} {self.digest[:12]}…"


class VersionQuerySet(models.QuerySet["Version"]):
    def with_stage(self) -> VersionQuerySet:
        """Each version with `stage`, that of its one open interval."""
        from registry.models.stage import StageInterval

        current = StageInterval.objects.filter(version=models.OuterRef("pk"), ended_at=None)
        # As a keyword, django-stubs would take it for a second declaration of the attribute.
        return self.annotate(**{"stage": models.Subquery(current.values("stage")[:1])})  # noqa: PIE804

    def newest_first(self) -> VersionQuerySet:
        return self.order_by("-major", "-minor", "-patch")


class Version(models.Model):
    """Everything a version is was decided when it was registered; triggers refuse UPDATE and DELETE."""

    stage: str  # by with_stage()
    alias_names: list[str] | None = None  # where a selector has read them with it
    is_aliased: bool = True  # unless a selector has seen that it is not

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="versions")
    major = models.PositiveIntegerField()
    minor = models.PositiveIntegerField()
    patch = models.PositiveIntegerField()
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="+")
    serving = models.ForeignKey(  # the ONNX form, where it is exact on the golden rows
        Artifact, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    holdout = models.ForeignKey(  # Parquet of (row_key, label, score or prediction), for paired comparisons
        Artifact, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    background = models.ForeignKey(  # Parquet of the training rows that explanations compare with
        Artifact, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    attributions = models.ForeignKey(  # Parquet of what each input contributes in the first rows of the background
        Artifact, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    signature = models.JSONField()
    metrics = models.JSONField(default=dict)  # name -> {"value", "ci95": [low, high] or null}
    params = models.JSONField(default=dict)
    threshold = models.FloatField(default=0.5)  # the decision is 1 at a score of at least this
    config_digest = models.CharField(max_length=64)  # of what makes a minor version
    signature_digest = models.CharField(max_length=64)  # of what makes a major version
    data_digest = models.CharField(max_length=64, blank=True)
    content_digest = models.CharField(max_length=64)  # of all that is here: the same content is the same version
    golden = models.JSONField(default=list)  # rows and what they must answer: [{"features", "prediction", "score"}]
    reference = models.BinaryField(null=True, blank=True)  # profile of the training data, stats.profile bytes
    held_out = models.BinaryField(null=True, blank=True)  # of rows held out from training, stats.heldout bytes
    importance = models.JSONField(default=dict)  # feature -> share, sums to 1
    explanation = models.JSONField(default=dict)  # of the background: see artifacts.summary.summarised
    lineage = models.JSONField(default=dict)  # {"run", "dataset", "code", "parent", ...}: plain identifiers
    facts = models.JSONField(default=dict)  # what its run knows for its card: {"data", "search", "slices", ...}
    mlflow = models.JSONField(default=dict)  # {"run_id", "url"}
    tags = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    trained_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = VersionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "major", "minor", "patch"], name="one_version_per_number"),
            models.UniqueConstraint(fields=["model", "content_digest"], name="one_version_per_content"),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} {self.number}"

    @property
    def number(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def subject(self) -> str:
        return f"version:{self.model.name}@{self.number}"
