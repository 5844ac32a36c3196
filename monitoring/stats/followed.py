"""The parts of a breakdown, counted from answers and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.bins import Counts
from mlops_site.stats.scored import Floats
from monitoring.stats.answers import Answers, Column, class_codes, numbers
from monitoring.stats.layout import (
    DECISIONS,
    ERROR_CODES,
    FINE,
    LAG_EDGES,
    LAGS,
    LEVEL_EDGES,
    SLICE_BINS,
    VALUES,
    layout_of_all,
    layout_of_level,
    value_bins,
)
from monitoring.stats.limbs import LARGEST, add_at, limbs
from monitoring.stats.shape import LONGEST_MS, Shape

Mask = NDArray[np.bool_]


class Followed(NamedTuple):
    """n answers and what became of them, each part of length n."""

    answers: Answers
    human: Column  # what a person decided, as a class or a value, or None
    error: Counts  # place of the error's code, ERROR_CODES for any other one, -1 for none that is new
    observed_lag: Floats  # seconds from the answer to what it was about; NaN for none that is new
    received_lag: Floats  # seconds from the answer to its label
    levels: Mapping[int, Counts]  # by slice, place of the level; -1 where the answer is not counted in the slice


class _Read(NamedTuple):
    """Answers, truths and decisions as numbers: classes by their places and -1 for none, or values and NaN."""

    said: Floats
    truth: Floats
    human: Floats
    score: Floats
    positive: int

    @property
    def judged(self) -> Mask:
        return known(self.said) & known(self.truth)


def known(values: Floats) -> Mask:
    """Which of the numbers stand for something."""
    return ~np.isnan(values)


def read(rows: Followed, shape: Shape) -> _Read:
    """The rows as numbers."""
    answers, n = rows.answers, len(rows.answers.prediction)
    some = any(human is not None for human in rows.human)
    if shape.task_type == "regression":
        said, truth = numbers(answers.prediction), numbers(answers.label)
        human = numbers(rows.human) if some else np.full(n, np.nan)
        return _Read(said, truth, human, np.full(n, np.nan), 1)
    codes = class_codes(answers, shape)
    people = class_codes(answers._replace(label=rows.human), shape)[0] if some else np.full(n, -1)
    truth, said, human = (np.where(part < 0, np.nan, part) for part in (*codes, people))
    score = np.asarray(answers.score, dtype=np.float64)
    usable = (score >= 0) & (score <= 1)
    return _Read(said, truth, human, np.where(usable, score, np.nan), shape.positive_code)


def of_all(rows: Followed, shape: Shape) -> Counts:
    """All answers, as `layout_of_all` orders it."""
    layout = layout_of_all(shape)
    found = np.zeros(layout.width, dtype=np.int64)
    parts = layout.parts
    found[parts["errors"]] = np.bincount(rows.error[rows.error >= 0], minlength=ERROR_CODES + 1)
    for name, lag in (("observed_lag", rows.observed_lag), ("received_lag", rows.received_lag)):
        found[parts[name]] = _lags(lag)
    said = read(rows, shape)
    found[parts["decisions"]] = _decisions(said, shape).sum(axis=0)
    if shape.task_type == "regression":
        usable = _usable(said)
        found[parts["pairs"]] = _pairs(said)[usable].sum(axis=0)
        found[parts["by_prediction"]] = _by_prediction(said, usable)
        found[parts["by_label"]] = _by_label(said, usable)
    return found


def answered(answers: Answers, shape: Shape) -> Counts:
    """Answers by what was said, of values in bins, 64 to a factor of two; what is none of the classes, no number or
    failed is left out."""
    part = layout_of_all(shape).parts["answered"]
    size = part.stop - part.start
    if not size:
        return np.zeros(0, dtype=np.int64)
    if shape.task_type == "regression":
        values = numbers(answers.prediction)
        return np.bincount(value_bins(values[known(values)], FINE), minlength=size)
    said = class_codes(answers._replace(label=()), shape)[1]
    return np.bincount(said[said >= 0], minlength=size)


def of_levels(rows: Followed, shape: Shape, levels: Mapping[int, int]) -> dict[int, Counts]:
    """By slice, each level as `layout_of_level` orders it, shape (levels, v)."""
    if not levels:
        return {}
    single = _of_each(rows, shape)
    found = {}
    for key, count in levels.items():
        counts = np.zeros((count, single.shape[1]), dtype=np.int64)
        places = rows.levels[key]
        np.add.at(counts, places[places >= 0], single[places >= 0])
        found[key] = counts
    return found


def _of_each(rows: Followed, shape: Shape) -> Counts:
    """What each answer adds to its level, shape (n, v)."""
    layout, said = layout_of_level(shape), read(rows, shape)
    found = np.zeros((len(said.said), layout.width), dtype=np.int64)
    found[:, layout.parts["totals"]] = _totals(rows, said, shape)
    found[:, layout.parts["decisions"]] = _decisions(said, shape)
    at, places = _timed(rows.answers)
    found[at, layout.parts["latency"].start + places] = 1
    if shape.task_type == "regression":
        usable = _usable(said)
        found[usable, layout.parts["pairs"]] = _pairs(said)[usable]
    elif shape.is_binary:
        _add_scores(found, layout.parts, said)
    return found


def _totals(rows: Followed, said: _Read, shape: Shape) -> Counts:
    judged = said.judged
    hits = judged & (said.said == said.truth) if shape.task_type == "classification" else np.zeros(len(judged), bool)
    selected = said.said == said.positive if shape.is_binary else np.zeros(len(judged), bool)
    failed = np.asarray(rows.answers.status_is_error, dtype=bool)
    columns = np.ones(len(judged)), failed, known(said.truth), judged, hits, known(said.said), selected
    return np.stack(columns, axis=1).astype(np.int64)


def _add_scores(found: Counts, parts: Mapping[str, slice], said: _Read) -> None:
    """Confusion, scores less truths with their squares, and histograms of scores by truth, of two classes."""
    at = np.flatnonzero(said.judged)
    actual, decided = (part[at] == said.positive for part in (said.truth, said.said))
    found[at, parts["confusion"].start + 2 * actual + decided] = 1
    at = np.flatnonzero(known(said.score) & known(said.truth))
    actual, score = said.truth[at] == said.positive, said.score[at]
    gaps = score - actual
    found[at, parts["gaps"]] = np.column_stack([np.ones(len(at), np.int64), limbs(gaps), limbs(np.square(gaps))])
    bins = np.minimum((score * SLICE_BINS).astype(np.int64), SLICE_BINS - 1)
    found[at, parts["scores"].start + SLICE_BINS * actual + bins] = 1


def _timed(answers: Answers) -> tuple[Counts, Counts]:
    """Which answers have a latency that can be true, and its place among LEVEL_EDGES."""
    given = np.asarray(answers.latency_ms, dtype=np.float64)
    at = np.flatnonzero((given >= 0) & (given <= LONGEST_MS))
    return at, np.searchsorted(LEVEL_EDGES, np.rint(given[at] * 1000).astype(np.int64))


def _lags(secs: Floats) -> Counts:
    whole = np.floor(secs[known(secs)]).astype(np.int64)
    return np.bincount(np.searchsorted(LAG_EDGES, whole), minlength=LAGS)


def _decisions(said: _Read, shape: Shape) -> Counts:
    """What people made of each answer, by DECISIONS, shape (n, 6). Where they decided otherwise and the truth is known,
    who was right: of values, who was nearer."""
    found = np.zeros((len(said.said), len(DECISIONS)), dtype=np.int64)
    reviewed = known(said.said) & known(said.human)
    if not reviewed.any():
        return found
    other = reviewed & (said.said != said.human)
    if shape.task_type == "regression":
        up, down = said.human > said.said, said.human < said.said
        theirs, ours = np.abs(said.human - said.truth), np.abs(said.said - said.truth)
        human, model = theirs < ours, ours < theirs
    else:
        up, down = ((part == said.positive) & shape.is_binary for part in (said.human, said.said))
        human, model = said.human == said.truth, said.said == said.truth
    columns = reviewed, other, other & up, other & down, other & human, other & model
    return np.stack(columns, axis=1).astype(np.int64)


def _usable(said: _Read) -> Mask:
    """Judged values whose squares can be added exactly."""
    return said.judged & (np.abs(said.said) <= LARGEST) & (np.abs(said.truth) <= LARGEST)


def _pairs(said: _Read) -> Counts:
    """Each pair of values with its products, by PAIRS, shape (n, 25); nought where one is not usable."""
    usable = _usable(said)
    p, y = (np.where(usable, part, 0.0) for part in (said.said, said.truth))
    columns = [limbs(values) for values in (p, y, p * p, y * y, p * y, np.abs(p - y))]
    return np.column_stack([usable.astype(np.int64), *columns])


def _by_prediction(said: _Read, usable: Mask) -> Counts:
    bins, y = value_bins(said.said[usable]), said.truth[usable]
    rows = np.bincount(bins, minlength=VALUES)
    return np.column_stack([rows, add_at(bins, y, VALUES), add_at(bins, y * y, VALUES)]).ravel()


def _by_label(said: _Read, usable: Mask) -> Counts:
    y = said.truth[usable]
    bins = value_bins(y)
    return np.column_stack([np.bincount(bins, minlength=VALUES), add_at(bins, y, VALUES)]).ravel()
