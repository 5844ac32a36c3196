"""What must reach somebody else's server: a leased row, tried until it is taken or given up."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from mlops_site.core.choices import DeliveryState
from mlops_site.core.models.people import Team


class Delivery(models.Model):
    """One message to one address. Written in the transaction of what it tells; the address itself stays in the
    settings, so that no secret in it is stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.CharField(max_length=60)  # "monitoring_webhook", "channel:<id>": whose address it is
    subject = models.CharField(max_length=200)  # "alert:<id>": what it tells of
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    event = models.CharField(max_length=80)
    body = models.JSONField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    most_attempts = models.PositiveSmallIntegerField(default=8)  # then it is given up
    next_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)  # of the last answer
    error = models.CharField(max_length=300, blank=True)  # of the last attempt
    created_at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=DeliveryState.values), name="delivery_state_known")
        ]
        indexes = [
            models.Index(fields=["subject"], name="deliveries_by_subject"),
            models.Index(fields=["channel", "-created_at"], name="deliveries_of_channel"),  # a channel's log
            models.Index(fields=["created_at"], name="deliveries_by_age"),  # retention's only question
            # the sender's only user: what is due
            models.Index(fields=["next_at"], name="deliveries_due", condition=models.Q(state="pending")),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.channel}: {self.state}"
