"""What a person is told: a line in their inbox."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models.people import Team, User


class Notification(models.Model):
    """One line of one person's inbox. Whoever leaves the team sees its lines no more."""

    recipient = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notifications")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    event = models.CharField(max_length=80)
    subject = models.CharField(max_length=200)  # "alert:<id>": what it tells of
    severity = models.CharField(max_length=10, blank=True)
    title = models.CharField(max_length=300)
    text = models.CharField(max_length=1000, blank=True)
    path = models.CharField(max_length=300, blank=True)  # the page of what it tells of, on this site
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["recipient", "-created_at"], name="inbox_of_person"),
            # the number beside the bell, on every page
            models.Index(fields=["recipient"], name="unread_of_person", condition=models.Q(read_at=None)),
            models.Index(fields=["subject"], name="told_of_subject"),
        ]

    def __str__(self) -> str:
        return self.title
