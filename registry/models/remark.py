"""What people say of a version after it was registered: all of a version that ever changes."""

from __future__ import annotations

from django.db import models

from mlops_site.core.models import User
from registry.models.version import Version


class Remark(models.Model):
    version = models.OneToOneField(Version, on_delete=models.PROTECT, primary_key=True, related_name="remark")
    description = models.TextField(blank=True)
    deprecated_at = models.DateTimeField(null=True, blank=True)
    deprecated_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    deprecation = models.TextField(blank=True)  # why, and what to use instead
    tags = models.JSONField(default=dict)  # what the rows of VersionTag say, so that a list need not ask for them
    words = models.TextField(blank=True)  # all that a search looks at, in small letters

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(deprecated_at=None, deprecated_by=None, deprecation="")
                | (models.Q(deprecated_at__isnull=False, deprecated_by__isnull=False) & ~models.Q(deprecation="")),
                name="deprecation_says_why",
            )
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.description[:40]}"
