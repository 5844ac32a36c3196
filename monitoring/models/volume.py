"""How many predictions each hour of a day brought: what a pattern by the hour is made of once buckets are days."""

from __future__ import annotations

from django.db import models

from registry.models import RegisteredModel


class VolumeDay(models.Model):
    """The hours of one day (UTC) of a model, all versions together, kept when its buckets become one. What came so
    late that it was added to the day itself is in no hour. A day without a row brought nothing, or has no hours."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+", db_index=False)
    day = models.DateField()
    hours = models.JSONField()  # 24 counts

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "day"], name="one_volume_per_day")]

    def __str__(self) -> str:
        return f"{self.model} on {self.day}"
