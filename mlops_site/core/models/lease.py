"""Who does what only one may do at a time."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """Held by one process until it runs out; taken and kept by conditional UPDATE."""

    name = models.CharField(max_length=40, primary_key=True)  # "beat"
    holder = models.CharField(max_length=200)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
