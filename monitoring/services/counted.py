"""What folded answers add to a breakdown: which slices they count in, and which place the code of a failure has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from monitoring.choices import PredictionStatus
from monitoring.models import ErrorCode
from monitoring.selectors.bases import Basis
from monitoring.selectors.slices import error_places, slicings
from monitoring.services.buckets import Vanished
from monitoring.signals import Answer
from monitoring.stats.answers import Answers
from monitoring.stats.breakdown import Breakdown
from monitoring.stats.followed import Followed
from monitoring.stats.layout import ERROR_CODES
from monitoring.stats.slicing import Slicing

NAN = float("nan")


class Row(NamedTuple):
    """An answer, what its slices are read from, and the label that it is counted with; `first` is the label that
    tells how late labels come, `is_new` that the answer itself is counted for the first time."""

    answer: Answer
    features: Mapping[str, Any]
    slices: Mapping[str, Any]
    label: Any = None
    human: Any = None
    first: tuple[datetime, datetime] | None = None  # observed and received
    is_new: bool = False


class Rules(NamedTuple):
    """By which answers are counted: slices by model id, places of codes by (version id, code)."""

    slices: Mapping[int, Sequence[Slicing]]
    errors: Mapping[tuple[int, str], int]


def declared(model_ids: Collection[int]) -> Mapping[int, Sequence[Slicing]]:
    """The slices of models, as of this transaction."""
    return slicings(model_ids)


def rules(answers: Iterable[Answer], slices: Mapping[int, Sequence[Slicing]]) -> Rules:
    """For new answers; codes that are new have their places from now on. Raises Vanished where another folder took a
    place at the same moment."""
    codes = {(answer.version_id, answer.error_code) for answer in answers if answer.status == PredictionStatus.ERROR}
    if not codes:
        return Rules(slices, {})
    known = error_places({version for version, _ in codes})
    taken = dict.fromkeys((version for version, _ in codes), 0)
    for version, _ in known:
        taken[version] += 1
    fresh = []
    for version, code in sorted(codes - known.keys()):
        if taken[version] < ERROR_CODES:
            fresh.append(ErrorCode(version_id=version, code=code, place=taken[version]))
            taken[version] += 1
    if fresh:
        ErrorCode.objects.bulk_create(fresh, ignore_conflicts=True)
        known = error_places({version for version, _ in codes})
        if any((row.version_id, row.code) not in known for row in fresh):
            raise Vanished
    return Rules(slices, known)


def breakdown_of(rows: Sequence[Row], basis: Basis, by: Rules) -> Breakdown:
    """What rows of one version add up to."""
    found = _of_new(rows, basis)
    models = {row.answer.model_id for row in rows}
    counting = [each for model in models for each in by.slices.get(model, ())]
    if not counting:  # what says nothing here need not be read
        rows = [row for row in rows if row.label is not None or row.answer.status == PredictionStatus.ERROR]
    if not rows:
        return found
    levels = {each.id: _places(each, rows) for each in counting}
    levels = {key: places for key, places in levels.items() if (places >= 0).any()}
    followed = Followed(
        answers=answers_of((row.answer, row.label) for row in rows),
        human=[row.human for row in rows],
        error=np.array([_error(row, by) for row in rows], dtype=np.int64),
        observed_lag=np.array([_lag(row, 0) for row in rows]),
        received_lag=np.array([_lag(row, 1) for row in rows]),
        levels=levels,
    )
    widths = {each.id: len(each.places) for each in counting if each.id in levels}
    return found + Breakdown.of(followed, basis.shape, widths)


def _of_new(rows: Sequence[Row], basis: Basis) -> Breakdown:
    """Labels and corrections say nothing new of what was answered."""
    fresh = [(row.answer, None) for row in rows if row.is_new]
    return Breakdown.of_new(answers_of(fresh), basis.shape) if fresh else Breakdown.empty(basis.shape)


def answers_of(rows: Iterable[tuple[Answer, Any]]) -> Answers:
    """Answers as columns, each with its label or None."""
    given = list(rows)
    return Answers(
        prediction=[answer.prediction for answer, _ in given],
        score=[NAN if answer.score is None else answer.score for answer, _ in given],
        decision=[answer.decision for answer, _ in given],
        status_is_error=[answer.status == PredictionStatus.ERROR for answer, _ in given],
        latency_ms=[NAN if answer.latency_ms is None else answer.latency_ms for answer, _ in given],
        label=[label for _, label in given],
    )


def _places(by: Slicing, rows: Sequence[Row]) -> Any:
    found = [by.place(row.features, row.slices) if by.counts(row.answer.received_at) else -1 for row in rows]
    return np.array(found, dtype=np.int64)


def _error(row: Row, by: Rules) -> int:
    if not row.is_new or row.answer.status != PredictionStatus.ERROR:
        return -1
    return by.errors.get((row.answer.version_id, row.answer.error_code), ERROR_CODES)


def _lag(row: Row, which: int) -> float:
    return NAN if row.first is None else (row.first[which] - row.answer.predicted_at).total_seconds()
