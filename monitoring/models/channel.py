"""Where a team has its alerts told, and what was told or waits to be."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from mlops_site.core.models import Delivery, Team, User
from monitoring.choices import ChannelKind, Digest, Severity
from monitoring.models.alert import Alert
from registry.models import RegisteredModel


class ChannelQuerySet(models.QuerySet["Channel"]):
    def kept(self) -> ChannelQuerySet:
        """Those that were not deleted."""
        return self.filter(deleted_at=None)


class Channel(models.Model):
    """One address of a team. What may be secret is sealed and never shown again: `place` is what may be seen of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=ChannelKind.choices)
    address = models.TextField(blank=True)  # sealed; of an inbox empty, or names of people and roles
    secret = models.TextField(blank=True)  # sealed; what webhooks are signed with
    place = models.CharField(max_length=300, blank=True)
    enabled = models.BooleanField(default=True)
    chosen = models.ManyToManyField(RegisteredModel, related_name="+", blank=True)  # none: all of the team
    min_severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.LOW)
    events = models.JSONField(default=list)  # of AlertEvent
    digest = models.CharField(max_length=10, choices=Digest.choices, default=Digest.NONE)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)  # before `quiet_from`: on the next day
    time_zone = models.CharField(max_length=64, default="UTC")
    critical_passes = models.BooleanField(default=True)  # at once, in spite of digest and quiet hours
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    # the row stays: an alert that is being raised may have chosen it already, and must not fail for that
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "name"], condition=models.Q(deleted_at=None), name="one_channel_of_a_name"
            ),
            models.CheckConstraint(condition=models.Q(kind__in=ChannelKind.values), name="channel_kind_known"),
            models.CheckConstraint(condition=models.Q(digest__in=Digest.values), name="channel_digest_known"),
            models.CheckConstraint(
                condition=models.Q(quiet_from=None, quiet_until=None)
                | models.Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="quiet_hours_are_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        """As deliveries name it."""
        return f"channel:{self.pk}"

    @property
    def subject(self) -> str:
        """As the audit chain names it."""
        return f"channel:{self.pk}"


class Message(models.Model):
    """One event of one alert, or of what `subject` names beside alerts, for one channel. Without a delivery it waits
    for its digest, or the end of quiet hours."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="messages")
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="messages", null=True, blank=True)
    subject = models.CharField(max_length=200, blank=True)  # "incident:7"; "" of an alert
    event = models.CharField(max_length=80)
    body = models.JSONField()  # what a webhook reads of it; the other kinds make theirs of that
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    class Meta:
        constraints = [
            # an alert is raised once and ends once, however often that is said
            models.UniqueConstraint(
                fields=["channel", "alert", "event"],
                condition=models.Q(event__in=["alert.raised", "alert.resolved"]),
                name="told_once_in_a_channel",
            ),
            models.UniqueConstraint(
                fields=["channel", "subject", "event"], condition=models.Q(alert=None), name="said_once_in_a_channel"
            ),
            models.CheckConstraint(
                condition=models.Q(alert=None) ^ models.Q(subject=""), name="message_is_of_one_thing"
            ),
        ]
        indexes = [
            # the sweep's only user
            models.Index(fields=["due_at"], name="messages_that_wait", condition=models.Q(delivery=None)),
        ]

    def __str__(self) -> str:
        return f"{self.event} of {self.about}"

    @property
    def about(self) -> str:
        """What it is about, as the audit chain names it."""
        return self.subject or f"alert:{self.alert_id}"
