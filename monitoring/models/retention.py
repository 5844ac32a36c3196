"""How long predictions and labels of a model are kept."""

from __future__ import annotations

from django.db import models

from registry.models import RegisteredModel


class Retention(models.Model):
    """What a model says beside the site's defaults. The triggers that guard labels and predictions read `hold` and the
    two times (see laws.py): nothing goes under a hold, and no label that was received since."""

    model = models.OneToOneField(RegisteredModel, on_delete=models.PROTECT, related_name="+")
    retention_days = models.PositiveIntegerField(null=True)  # of predictions and labels; 0: for good; None: the default
    feature_days = models.PositiveIntegerField(null=True)  # of what predictions were made of; likewise
    hold = models.CharField(max_length=200, blank=True)  # a legal hold, why; "" for none
    ends_before = models.DateTimeField(null=True)  # what was received before may be deleted
    unmatched_before = models.DateTimeField(null=True)  # likewise, of labels without a prediction

    def __str__(self) -> str:
        return f"retention of {self.model}"
