"""What people hold the data of a model to, where they know better than its reference."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from mlops_site.core.models import User
from registry.models import RegisteredModel


class QualityLimit(models.Model):
    """Parts of one check of one feature (see `stats.limits.PARTS`) that hold instead of the derived ones. It belongs to
    the model, so that it carries over to each next version that has the feature; its history is the audit's."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="+", db_index=False)
    feature = models.CharField(max_length=128)
    check_name = models.CharField(max_length=20)
    said = models.JSONField()  # {"max_share": 0.01}, or {"off": true}
    reason = models.CharField(max_length=500)
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "feature", "check_name"], name="one_limit_per_check"),
        ]

    def __str__(self) -> str:
        return f"{self.check_name} of {self.feature} of {self.model}"
