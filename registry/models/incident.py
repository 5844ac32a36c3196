"""What went wrong with a version in production, kept until somebody says how it ended."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from registry.choices import INCIDENT_SEVERITY, IncidentKind
from registry.models.model import RegisteredModel
from registry.models.version import Version


class Incident(models.Model):
    """Only its end is ever added: when, by whom, and how it was resolved."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="incidents")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")  # the one at fault
    kind = models.CharField(max_length=30, choices=IncidentKind.choices)
    what = models.TextField()  # what happened, in sentences
    opened_at = models.DateTimeField(default=timezone.now)
    opened_by = models.ForeignKey(  # nobody: the system found it
        User, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    resolution = models.TextField(blank=True)

    class Meta:
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=IncidentKind.values), name="incident_kind_known"),
            models.CheckConstraint(
                condition=models.Q(closed_at=None, closed_by=None, resolution="")
                | (models.Q(closed_at__isnull=False, closed_by__isnull=False) & ~models.Q(resolution="")),
                name="incident_closes_with_a_resolution",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.get_kind_display()}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def status(self) -> str:
        return "open" if self.is_open else "closed"

    @property
    def severity(self) -> str:
        return INCIDENT_SEVERITY[IncidentKind(self.kind)]

    @property
    def subject(self) -> str:
        return f"incident:{self.pk}"
