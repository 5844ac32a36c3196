"""What predictions and labels add up to, and the queue of those not yet added."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from monitoring.choices import FoldKind, Span
from registry.models import Version


class FoldItem(models.Model):
    """A prediction or a label that no bucket holds yet: the row is the queue. Written by triggers in the transaction
    of what it names. A label without its prediction waits."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10, choices=FoldKind.choices)
    prediction_id = models.UUIDField(null=True)
    label_id = models.BigIntegerField(null=True)
    waiting = models.BooleanField(default=False)

    class Meta:
        indexes = [
            # the folder's only user: what can be folded, oldest first
            models.Index(fields=["id"], name="fold_items_ready", condition=models.Q(waiting=False)),
            # the folder of a prediction asks for the labels that came before it
            models.Index(fields=["label_id"], name="fold_items_waiting", condition=models.Q(waiting=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.prediction_id or self.label_id}"


class Bucket(models.Model):
    """The answers of one version whose `predicted_at` lies in one span of time: a profile of the features on the bins
    of the version's reference, and a tally of answers and labels. Sums over a window read nothing else."""

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    span_secs = models.PositiveIntegerField(choices=Span.choices)
    started_at = models.DateTimeField()
    rows = models.PositiveBigIntegerField(default=0)
    profile = models.BinaryField(null=True)  # stats.profile bytes without bins; null without a reference
    tally = models.BinaryField(default=bytes)  # monitoring.stats.tally bytes
    breakdown = models.BinaryField(default=bytes)  # monitoring.stats.breakdown bytes; of before there were any, none
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "span_secs", "started_at"], name="one_bucket_per_span"),
            models.CheckConstraint(condition=models.Q(span_secs__in=Span.values), name="bucket_span_known"),
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} + {self.span_secs} s"
