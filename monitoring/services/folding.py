"""The folder: queued predictions and labels become counts in the buckets of their versions.

Each item stands for a change that does not depend on what was folded before it: a prediction adds its row, revision r
of a label adds the row with that label and takes away the row with revision r - 1. So the buckets and the queue
together equal a recomputation at any time, in whatever order any number of folders take the items.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import pandas as pd
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from mlops_site.stats.profile import Bins, Profile, profile
from monitoring.choices import Span
from monitoring.models import FoldItem, Label, Prediction
from monitoring.selectors.bases import Basis, bases
from monitoring.services.buckets import Content, Key, Vanished, added, content_of, locked, placed, write
from monitoring.services.checks import count_unchecked
from monitoring.services.counted import Row, Rules, answers_of, breakdown_of, declared, rules
from monitoring.signals import Answer, Folded, Known, answers_folded
from monitoring.stats.slicing import Slicing
from monitoring.stats.tally import Tally

__all__ = ["Answer", "Folded", "Known", "fold", "fold_all", "profile_of", "recall_waiting", "tally_of"]

LIMIT = 2_000
TRIES = 10

Name = tuple[int, str]  # model id, request id


class _Label(NamedTuple):
    """Columns of a label."""

    id: int
    model_id: int
    request_id: str
    revision: int
    label: Any
    human_decision: Any
    received_at: datetime
    observed_at: datetime

    @property
    def first(self) -> tuple[datetime, datetime] | None:
        """Observed and received, of the first revision: corrections say nothing of how late labels come."""
        return (self.observed_at, self.received_at) if self.revision == 1 else None

    @property
    def name(self) -> Name:
        return self.model_id, self.request_id

    @property
    def known(self) -> Known:
        return Known(self.label, self.human_decision, self.received_at)


@dataclass
class _Change:
    """What one bucket gains and loses: features of new rows, answers each with the label that it is counted with."""

    features: list[Mapping[str, Any]] = field(default_factory=list)
    gained: list[Row] = field(default_factory=list)
    lost: list[Row] = field(default_factory=list)

    def content(self, basis: Basis, by: Rules) -> Content:
        gained, lost = ([(row.answer, row.label) for row in rows] for rows in (self.gained, self.lost))
        tally = tally_of(gained, basis) - tally_of(lost, basis)
        counted = None if basis.bins is None else profile_of(self.features, basis.bins)
        breakdown = breakdown_of(self.gained, basis, by) - breakdown_of(self.lost, basis, by)
        return Content(len(self.features), counted, tally, breakdown)


class _Changes:
    """By bucket."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.by_key: dict[Key, _Change] = defaultdict(_Change)
        self.folded: list[Folded] | None = [] if answers_folded.has_listeners(FoldItem) else None

    def answered(self, answer: Answer, features: Mapping[str, Any], slices: Mapping[str, Any]) -> None:
        change = self._of(answer)
        change.features.append(features)
        change.gained.append(Row(answer, features, slices, is_new=True))
        if self.folded is not None:
            self.folded.append(Folded(answer, is_new=True))

    def labelled(self, row: Row, before: _Label | None, after: _Label) -> None:
        answer, change = row.answer, self._of(row.answer)
        change.gained.append(row._replace(label=after.label, human=after.human_decision, first=after.first))
        change.lost.append(row._replace(label=before.label, human=before.human_decision) if before else row)
        if self.folded is not None:
            self.folded.append(Folded(answer, False, before.known if before else None, after.known))

    def tell(self) -> None:
        """Whoever adds up by something else than versions does it in the same transaction, so each item counts once."""
        if self.folded:
            answers_folded.send(sender=FoldItem, folded=self.folded)

    def by_version(self) -> dict[int, int]:
        """Version id -> how many answers and labels."""
        found: dict[int, int] = defaultdict(int)
        for (version, _), change in self.by_key.items():
            found[version] += len(change.gained)
        return found

    def _of(self, answer: Answer) -> _Change:
        return self.by_key[answer.version_id, placed(answer.predicted_at, self.now)]


def fold(limit: int = LIMIT, *, among: Collection[int] | None = None) -> int:
    """Fold up to `limit` items (of those with these ids), oldest first, in one transaction; how many were taken. Items
    that another folder holds are passed over, so folders never wait for one another's items, and nobody who logs waits
    for a folder."""
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                return _fold(limit, among)
        except Vanished:
            continue
    return 0  # the next call finds them in the queue as they were


def fold_all(*, limit: int = LIMIT, within_secs: float = 20.0) -> int:
    """Fold until nothing is left that nobody else holds, or the time is over; how many items were taken."""
    taken, deadline = 0, time.monotonic() + within_secs
    while folded := fold(limit):
        taken += folded
        if time.monotonic() > deadline:
            break
    return taken


def recall_waiting(model: int | None = None) -> int:
    """Make labels (of a model) ready whose predictions exist by now; how many. The folder of a prediction does so
    itself: this is for a label that was set aside at the very moment when its prediction was folded."""
    same = Prediction.objects.filter(model=OuterRef("model"), request_id=OuterRef("request_id"))
    labels = Label.objects.filter(Exists(same))
    return _make_ready((labels if model is None else labels.filter(model=model)).values("pk"))


def tally_of(rows: Iterable[tuple[Answer, Any]], basis: Basis) -> Tally:
    """The tally of answers, each with its label or None."""
    given = list(rows)
    return Tally.of(answers_of(given), basis.shape) if given else Tally.empty(basis.shape)


def profile_of(features: Sequence[Mapping[str, Any]], bins: Bins) -> Profile:
    """The profile of rows as they were sent, whatever they hold. Every cell is judged by itself: with a column's type
    inferred, the same cell could be read in two ways beside different neighbours."""
    if not features:
        return Profile.empty(bins)
    columns = {name: pd.Series([row.get(name) for row in features], dtype=object) for name in bins.features}
    return profile(pd.DataFrame(columns, copy=False), bins)


def _fold(limit: int, among: Collection[int] | None) -> int:
    ready = FoldItem.objects.select_for_update(skip_locked=True).filter(waiting=False).order_by("pk")
    if among is not None:
        ready = ready.filter(pk__in=among)
    items = list(ready.values_list("pk", "prediction_id", "label_id")[:limit])
    if not items:
        return 0
    changes = _Changes(timezone.now())
    predictions = [prediction for _, prediction, _ in items if prediction is not None]
    labels = {label: pk for pk, _, label in items if label is not None}
    names = _take_predictions(changes, predictions)
    told = _labels(labels)
    slices = declared({model for model, _ in names} | {label.model_id for label in told})
    waiting = [labels[label] for label in _take_labels(changes, told, slices)]
    _add(changes.by_key, slices)
    FoldItem.objects.filter(pk__in=waiting).update(waiting=True)
    FoldItem.objects.filter(pk__in={pk for pk, *_ in items}.difference(waiting)).delete()
    if names:
        _make_ready(Label.objects.filter(**_among(names)).values("pk"))
    changes.tell()
    count_unchecked(changes.by_version())
    return len(items)


def _take_predictions(changes: _Changes, ids: Collection[UUID]) -> set[Name]:
    """What the predictions change, and their names."""
    rows = Prediction.objects.filter(pk__in=ids).values_list(*Answer._fields, "features", "slices") if ids else []
    names = set()
    for *columns, features, slices in rows:
        answer = Answer(*columns)
        changes.answered(answer, features, slices)
        names.add(answer.name)
    return names


def _labels(ids: Collection[int]) -> list[_Label]:
    return [_Label(*row) for row in Label.objects.filter(pk__in=ids).values_list(*_Label._fields)] if ids else []


def _take_labels(changes: _Changes, labels: Sequence[_Label], slices: Mapping[int, Sequence[Slicing]]) -> list[int]:
    """What the labels change; ids of those that must wait for their prediction."""
    if not labels:
        return []
    found = _answers({label.name for label in labels}, slices)
    before = _before(label for label in labels if label.revision > 1)
    for label in labels:
        if row := found.get(label.name):
            changes.labelled(row, before.get((*label.name, label.revision - 1)), label)
    return [label.id for label in labels if label.name not in found]


def _answers(names: Collection[Name], slices: Mapping[int, Sequence[Slicing]]) -> dict[Name, Row]:
    """The answers of these names, with what their models' slices are read from and no more."""
    sources = {each.source for model in slices.values() for each in model}
    more = ["features"] * ("feature" in sources) + ["slices"] * bool(sources)
    width, found = len(Answer._fields), {}
    for columns in Prediction.objects.filter(**_among(names)).values_list(*Answer._fields, *more):
        answer, read = Answer(*columns[:width]), dict(zip(more, columns[width:], strict=True))
        found[answer.name] = Row(answer, read.get("features", {}), read.get("slices", {}))
    return found


def _before(labels: Iterable[_Label]) -> dict[tuple[int, str, int], _Label]:
    """(model id, request id, revision) -> label, of everything said of the requests of corrections."""
    names = {label.name for label in labels}
    if not names:
        return {}
    rows = Label.objects.filter(**_among(names)).values_list(*_Label._fields)
    return {(*label.name, label.revision): label for label in (_Label(*row) for row in rows)}


def _add(changes: Mapping[Key, _Change], slices: Mapping[int, Sequence[Slicing]]) -> None:
    if not changes:
        return
    known = bases({version for version, _ in changes})
    by = rules((row.answer for change in changes.values() for row in change.gained if row.is_new), slices)
    gains = {key: change.content(known[key[0]], by) for key, change in changes.items()}  # before anything is locked
    rows = locked(gains, Span.MINUTES)
    write({key: added(content_of(row, known[key[0]]), gains[key]) for key, row in rows.items()}, Span.MINUTES)


def _make_ready(labels: Any) -> int:
    """The waiting items of the labels of a query, but for those that somebody else is making ready."""
    rows = FoldItem.objects.select_for_update(skip_locked=True).filter(waiting=True, label_id__in=labels)
    with transaction.atomic():
        chosen = list(rows.values_list("pk", flat=True))
        return FoldItem.objects.filter(pk__in=chosen).update(waiting=False) if chosen else 0


def _among(names: Collection[Name]) -> dict[str, Any]:
    """A filter for at least the rows of these names; of several models a few more, which nobody asks for."""
    return {"model__in": {model for model, _ in names}, "request_id__in": {request for _, request in names}}
