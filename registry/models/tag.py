"""Tags: a key and a value that people put on a model or a version, and take away again."""

from __future__ import annotations

from django.db import models

from registry.models.model import RegisteredModel
from registry.models.version import Version

TAG_KEY = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"  # ASCII: two keys that look the same are the same
MAX_VALUE = 2000


class ModelTag(models.Model):
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="tag_rows", db_index=False)
    key = models.CharField(max_length=100)
    value = models.CharField(max_length=MAX_VALUE, blank=True)

    class Meta:
        ordering = ["key"]
        constraints = [models.UniqueConstraint(fields=["model", "key"], name="one_value_per_key_of_model")]
        indexes = [models.Index(fields=["key"], name="models_by_tag")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class VersionTag(models.Model):
    """What a version was registered with stays in `Version.tags`; these rows are what is so today."""

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="tag_rows", db_index=False)
    key = models.CharField(max_length=100)
    value = models.CharField(max_length=MAX_VALUE, blank=True)

    class Meta:
        ordering = ["key"]
        constraints = [models.UniqueConstraint(fields=["version", "key"], name="one_value_per_key_of_version")]
        indexes = [models.Index(fields=["key"], name="versions_by_tag")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"
