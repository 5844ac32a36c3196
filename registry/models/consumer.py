"""Who asks a model: tokens, by the last day on which they did."""

from __future__ import annotations

from django.db import models

from mlops_site.core.models import Token
from registry.models.model import RegisteredModel


class Consumer(models.Model):
    """A token that asked for predictions of a model or logged some. Written at most once a day by a process, so it
    says the day and no more."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="consumers", db_index=False)
    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="+")
    last_used_on = models.DateField()  # UTC

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "token"], name="one_row_per_consumer")]

    def __str__(self) -> str:
        return f"{self.token} asks {self.model}"
