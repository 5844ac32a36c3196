"""The end of predictions and labels after their time. Buckets hold what they came to, so no chart changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action, Actor, require
from monitoring.choices import SliceSource
from monitoring.models import Completion, Explanation, FoldItem, Label, Prediction, Retention, Slice
from monitoring.selectors.retention import Terms, terms, terms_of, to_delete, to_erase, unmatched
from registry.models import RegisteredModel, Version
from registry.services.guards import locked

log = logging.getLogger(__name__)
LONGEST_DAYS = 36_600
BATCH = 5_000  # rows that go in a transaction
RETENTION = Actor.system("retention")


class Ended(NamedTuple):
    """What went of a model."""

    predictions: int = 0
    labels: int = 0
    features: int = 0  # predictions whose features were erased
    unmatched: int = 0  # labels whose prediction never came

    def __add__(self, other: Ended) -> Ended:  # type: ignore[override]
        return Ended(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def set_retention(model: RegisteredModel, *, actor: Actor, fields: Mapping[str, Any]) -> Terms:
    """Change some of `retention_days` (of predictions and their labels), `feature_days` (0: for good, None: as the site
    says) and `hold` (why nothing of the model may go, or ""). The hold takes another right than the days.

    Raises Forbidden, Invalid.
    """
    with events.atomic(), locked(model) as model:
        rights = {Action.PREDICTION_HOLD if name == "hold" else Action.PREDICTION_KEEP for name in fields}
        for right in rights or {Action.PREDICTION_KEEP}:
            require(actor, right, model.team, subject=model.subject)
        changes = {name: _CHECKS[name](name, value) for name, value in fields.items()}
        Retention.objects.get_or_create(model=model)
        own = Retention.objects.select_for_update().get(model=model)  # a batch that is going on comes first
        for name, value in changes.items():
            setattr(own, name, value)
        own.save(update_fields=list(changes))
        events.record("retention.set", actor=actor, subject=model.subject, team=model.team.name, data=changes)
    return terms(model, own)


def _days(field: str, days: object) -> int | None:
    if days is None or (isinstance(days, int) and not isinstance(days, bool) and 0 <= days <= LONGEST_DAYS):
        return days
    message = f"{field} must be a whole number from 0 (for good) to {LONGEST_DAYS:,}, or null, but got {days!r:.80}"
    raise Invalid.on(field, message, code="invalid")


def _hold(field: str, reason: object) -> str:
    if not isinstance(reason, str) or len(reason.strip()) > 200 or not (reason.isprintable() or not reason):
        message = f"{field} must be up to 200 printable characters but got {reason!r:.80}"
        raise Invalid.on(field, message, code="invalid")
    return reason.strip()


_CHECKS: dict[str, Callable[[str, object], Any]] = {"retention_days": _days, "feature_days": _days, "hold": _hold}


def end_expired() -> dict[str, Ended]:
    """What retention asks for, in batches, each with its audit record: model name -> what went. Beat rings. One model
    that cannot be done holds up no other."""
    found: dict[str, Ended] = {}
    for model in RegisteredModel.objects.select_related("team").order_by("pk"):
        try:
            ended = _end(model, timezone.now())
        except DatabaseError:  # a prediction came while its label was given up, say: the next sweep sees it
            log.warning("retention of %s stopped; the next sweep goes on", model, exc_info=True)
            continue
        if any(ended):
            found[model.name] = ended
    return found


def _end(model: RegisteredModel, now: datetime) -> Ended:
    asked = terms_of(model)
    if asked.hold:
        return Ended()
    total = Ended()
    if kept := asked.before(asked.retention_days, now):
        versions = list(Version.objects.filter(model=model).values_list("pk", flat=True))
        total += _in_batches(model, "ends_before", kept, lambda: _delete(model, versions, kept))
        total += _in_batches(model, "ends_before", kept, lambda: _give_up(model, kept))
    if features := asked.before(asked.feature_days, now):
        total += _in_batches(model, "", features, lambda: _erase(model, features, now))
    if settings.LABEL_WAIT_DAYS:
        waited = now - timedelta(days=settings.LABEL_WAIT_DAYS)
        total += _in_batches(model, "unmatched_before", waited, lambda: _give_up(model, waited))
    return total


def _in_batches(model: RegisteredModel, time: str, before: datetime, batch: Callable[[], Ended]) -> Ended:
    """Until nothing is left that may go, or somebody has set a hold."""
    total = Ended()
    while any(ended := _one_batch(model, time, before, batch)):
        total += ended
    return total


def _one_batch(model: RegisteredModel, time: str, before: datetime, batch: Callable[[], Ended]) -> Ended:
    """In a transaction with its record; under the lock of the model's row, so that a hold set now waits for it, and
    holds the next one."""
    with events.atomic():
        Retention.objects.get_or_create(model=model)
        own = Retention.objects.select_for_update().get(model=model)
        if own.hold:
            return Ended()
        if time:  # what the triggers let go
            setattr(own, time, before)
            own.save(update_fields=[time])
        ended = batch()
        if any(ended):
            data = {"before": before.isoformat(), **{name: count for name, count in ended._asdict().items() if count}}
            events.record("retention.ended", actor=RETENTION, subject=model.subject, team=model.team.name, data=data)
    return ended


def _delete(model: RegisteredModel, versions: list[int], before: datetime) -> Ended:
    names = dict(to_delete(model, versions, before).values_list("pk", "request_id")[:BATCH])
    for beside in (Explanation, Completion):
        beside.objects.filter(prediction__in=names).delete()
    labels, _ = Label.objects.filter(model=model, request_id__in=names.values(), received_at__lt=before).delete()
    Prediction.objects.filter(pk__in=names)._raw_delete(DEFAULT_DB_ALIAS)  # nothing is left that names them
    return Ended(predictions=len(names), labels=labels)


def _erase(model: RegisteredModel, before: datetime, now: datetime) -> Ended:
    """With what was told of a prediction's features; that an explanation was given stands nowhere else. What slices
    are declared by is kept among the slices of the prediction, so that a label that comes late counts in its level."""
    keys = list(to_erase(model, before).values_list("pk", flat=True)[:BATCH])
    _keep_slices(model, keys)
    Explanation.objects.filter(prediction__in=keys).delete()
    Prediction.objects.filter(pk__in=keys).update(features={}, erased_at=now)
    return Ended(features=len(keys))


def _keep_slices(model: RegisteredModel, keys: Sequence[UUID]) -> None:
    names = set(Slice.objects.filter(model=model, source=SliceSource.FEATURE).values_list("name", flat=True))
    rows = list(Prediction.objects.filter(pk__in=keys).only("features", "slices")) if names else []
    for row in rows:
        row.slices = {name: row.features[name] for name in names if name in row.features} | row.slices
    Prediction.objects.bulk_update(rows, ["slices"])


def _give_up(model: RegisteredModel, before: datetime) -> Ended:
    keys = list(unmatched(model, before).values_list("pk", flat=True)[:BATCH])
    FoldItem.objects.filter(label_id__in=keys).delete()
    Label.objects.filter(pk__in=keys).delete()
    return Ended(unmatched=len(keys))
