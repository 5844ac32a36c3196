"""How long predictions of a model are kept, what may go now, and what waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from monitoring.models import FoldItem, Label, Prediction, Retention
from registry.models import RegisteredModel


class Terms(NamedTuple):
    """What holds of a model: its own word, else the site's. Days of 0 mean for good; `hold` is why nothing may go."""

    model: RegisteredModel
    retention_days: int
    feature_days: int
    hold: str
    own: Retention

    def before(self, days: int, now: datetime) -> datetime | None:
        """What was received before this has had its days; None for good, and under a hold."""
        return now - timedelta(days=days) if days and not self.hold else None


def terms_of(model: RegisteredModel) -> Terms:
    own = Retention.objects.filter(model=model).first()
    return terms(model, own or Retention(model=model))


def terms(model: RegisteredModel, own: Retention) -> Terms:
    kept, features = own.retention_days, own.feature_days
    return Terms(
        model,
        settings.PREDICTION_RETENTION_DAYS if kept is None else kept,
        settings.FEATURE_RETENTION_DAYS if features is None else features,
        own.hold,
        own,
    )


def waiting_labels(model_id: int, *, most: int | None = None) -> int:
    """Labels of a model whose prediction has not come, or `most` of them."""
    rows = FoldItem.objects.filter(waiting=True, label_id__in=Label.objects.filter(model=model_id).values("pk"))
    return rows.count() if most is None else rows.values("pk")[:most].count()


def misdated(version_id: int, start: datetime, end: datetime) -> int:
    """Predictions of a version in a window whose own time could not be right: counted when they arrived."""
    rows = Prediction.objects.filter(version=version_id, predicted_at__gte=start, predicted_at__lt=end)
    return rows.exclude(said_at="").count()


def _not_queued(rows: QuerySet[Prediction]) -> QuerySet[Prediction]:
    """Those that the buckets hold already: what waits for folding is still needed."""
    return rows.filter(~Exists(FoldItem.objects.filter(prediction_id=OuterRef("pk"))))


def to_erase(model: RegisteredModel, before: datetime) -> QuerySet[Prediction]:
    """Folded predictions received before, whose features are there, oldest first."""
    rows = Prediction.objects.filter(model=model, erased_at=None, received_at__lt=before, predicted_at__lt=before)
    return _not_queued(rows).order_by("received_at")


def to_delete(model: RegisteredModel, versions: Sequence[int], before: datetime) -> QuerySet[Prediction]:
    """Folded predictions received before, with all that was said of them, oldest first."""
    labels = Label.objects.filter(model=model, request_id=OuterRef("request_id"))
    queued = Exists(FoldItem.objects.filter(label_id=OuterRef("pk")))
    rows = Prediction.objects.filter(version__in=versions, predicted_at__lt=before, received_at__lt=before)
    rows = rows.filter(~Exists(labels.filter(Q(received_at__gte=before) | queued)))
    return _not_queued(rows).order_by("predicted_at")


def unmatched(model: RegisteredModel, before: datetime) -> QuerySet[Label]:
    """Labels received before, and not revised since, whose prediction is not there."""
    same = {"model": OuterRef("model"), "request_id": OuterRef("request_id")}
    rows = Label.objects.filter(model=model, received_at__lt=before)
    rows = rows.filter(~Exists(Prediction.objects.filter(**same)))
    return rows.filter(~Exists(Label.objects.filter(**same, received_at__gte=before))).order_by("received_at")
