"""Aliases: names that a team moves from version to version, and who may move which."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from registry.models.model import RegisteredModel
from registry.models.version import Version

ALIAS = r"[a-z][a-z0-9_-]{0,62}"


class Alias(models.Model):
    """`champion` of a model is one version at a time. It says nothing about stages."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="aliases", db_index=False)
    name = models.CharField(max_length=63)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="aliases")
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "aliases"
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["model", "name"], name="one_version_per_alias")]

    def __str__(self) -> str:
        return f"{self.model}@{self.name}"


class AliasProtection(models.Model):
    """Only these roles move or remove the alias; it holds also while no version has it."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="protections", db_index=False)
    name = models.CharField(max_length=63)
    roles = models.JSONField()
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["model", "name"], name="one_protection_per_alias")]

    def __str__(self) -> str:
        return f"{self.model}@{self.name} for {', '.join(self.roles)}"
