"""The append-only audit chain (its triggers are in core.laws)."""

from __future__ import annotations

import json
from typing import Any

from django.db import models


class AuditRecord(models.Model):
    """One fact. `body` is the canonical JSON that was signed; the columns beside it are copies to search by."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=200)
    team = models.CharField(max_length=63, blank=True)
    action = models.CharField(max_length=80)
    subject = models.CharField(max_length=200)  # "model:x", "version:x@1.0.0", "run:<id>"
    body = models.TextField()
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ["seq"]
        indexes = [
            models.Index(fields=["subject", "seq"], name="audit_by_subject"),
            models.Index(fields=["team", "seq"], name="audit_by_team"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.actor} {self.action} {self.subject}"

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.body)["data"]
        return data


class ChainHead(models.Model):
    """The one row that serialises writers of the chain."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_chain_head")]

    def __str__(self) -> str:
        return f"head at {self.seq}"
