"""A model on its way from one team to another: asked for by the one, accepted by the other."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models import Team, User
from registry.choices import TransferStatus
from registry.models.model import RegisteredModel


class Transfer(models.Model):
    """Only its end is ever added."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="transfers")
    from_team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    to_team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=TransferStatus.choices, default=TransferStatus.PENDING)
    reason = models.TextField()
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True)

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["model"], condition=models.Q(status=TransferStatus.PENDING), name="one_pending_transfer"
            ),
            models.CheckConstraint(condition=models.Q(status__in=TransferStatus.values), name="transfer_status_known"),
            models.CheckConstraint(condition=~models.Q(from_team=models.F("to_team")), name="transfer_changes_team"),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.from_team} to {self.to_team}"

    @property
    def subject(self) -> str:
        return f"transfer:{self.pk}"
