"""Answers kept for repeated unsafe requests."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models.people import User


class IdempotencyKey(models.Model):
    """One answer per (user, key). Written in the transaction of the effect, so neither exists without the other."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=128)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)  # the sweep deletes by age

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return f"{self.user} {self.key}"
