"""The parts of a tally, counted from answers and their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments, exact_sum
from mlops_site.stats.heldout import score_bins
from mlops_site.stats.scored import Floats
from monitoring.stats.shape import LARGEST, LATENCY_EDGES, LONGEST_MS, MAX_CLASSES, SCORE_BINS, Shape

Column = Sequence[Any] | NDArray[Any]
Codes = NDArray[np.int64]
_REAL = int | float | np.integer | np.floating | np.bool_
_NONE: Counts = np.empty(0, dtype=np.int64)


class Answers(NamedTuple):
    """n answers, each part of length n. `label` is None where it is not known (yet)."""

    prediction: Column  # the class or the value; None when the model failed
    score: Column  # P(positive) of two classes, else NaN
    decision: Column  # 1 for positive and 0 for not, or None
    status_is_error: Column
    latency_ms: Column  # NaN if not known
    label: Column


class Parts(NamedTuple):
    """What answers come to: totals (labelled, judged, hits), histograms, sums and moments."""

    totals: tuple[int, int, int]
    scores: Counts
    confusion: Counts
    sums: Mapping[str, Fraction]
    moments: Mapping[str, Moments]


def latencies(ms: Column) -> tuple[Counts, Fraction]:
    """Counts between the edges, and the sum in whole microseconds, of the latencies that can be true."""
    given = np.asarray(ms, dtype=np.float64)
    usable = given[(given >= 0) & (given <= LONGEST_MS)]
    whole = np.rint(usable * 1000).astype(np.int64)
    counts = np.bincount(np.searchsorted(LATENCY_EDGES, whole), minlength=len(LATENCY_EDGES) + 1)
    return counts, Fraction(sum(whole.tolist()))


def judged_classes(answers: Answers, shape: Shape) -> Parts:
    """Answers of a classifier against their labels; of two classes the decision counts, where there is one."""
    truth, said = class_codes(answers, shape)
    judged = (truth >= 0) & (said >= 0)
    totals = int(np.count_nonzero(truth >= 0)), int(judged.sum()), int(np.count_nonzero(judged & (truth == said)))
    k = len(shape.classes)
    confusion = np.bincount(truth[judged] * k + said[judged], minlength=k * k) if k <= MAX_CLASSES else _NONE
    if not shape.is_binary:
        return Parts(totals, _NONE, confusion, {}, {})
    scores, misses = _scores(np.asarray(answers.score, dtype=np.float64), truth, shape.positive_code)
    return Parts(totals, scores, confusion, {}, {"brier": Moments.of(misses)})


def class_codes(answers: Answers, shape: Shape) -> tuple[Codes, Codes]:
    """The true and the answered class of each row as its place among the classes, -1 for none; of two classes the
    decision counts, where there is one."""
    place = {label: code for code, label in enumerate(shape.classes)}
    truth = np.array([_code(label, place) for label in answers.label], dtype=np.int64)
    said = np.array([_code(label, place) for label in answers.prediction], dtype=np.int64)
    if shape.is_binary:
        decided = np.array([_decided(decision, shape.positive_code) for decision in answers.decision], dtype=np.int64)
        said = np.where(decided >= 0, decided, said)
    return truth, said


def _code(label: Any, place: Mapping[Any, int]) -> int:
    """Where a label stands among the classes; -1 for None and for what is no class."""
    return place.get(label, -1) if isinstance(label, str | _REAL) else -1


def _decided(decision: Any, positive: int) -> int:
    if not isinstance(decision, _REAL) or decision not in (0, 1):
        return -1
    return positive if decision else 1 - positive


def _scores(score: Floats, truth: Codes, positive: int) -> tuple[Counts, Floats]:
    """Histograms of all scores and of those with each truth, one after the other; the squared errors."""
    usable = (score >= 0) & (score <= 1)
    bins = score_bins(np.where(usable, score, 0))
    sides = usable, usable & (truth == 1 - positive), usable & (truth == positive)
    counts = [np.bincount(bins[side], minlength=SCORE_BINS) for side in sides]
    known = usable & (truth >= 0)
    return np.concatenate(counts), np.square(score[known] - (truth[known] == positive))


def judged_values(answers: Answers, shape: Shape) -> Parts:
    """Answered values against the true ones; the sums are what the errors of the metrics need."""
    truth, said = numbers(answers.label), numbers(answers.prediction)
    known, usable = ~np.isnan(truth), ~np.isnan(said)
    judged = known & usable
    label, residual = truth[judged], said[judged] - truth[judged]
    squares = np.square(residual)
    sums = {
        "label3": label**3,
        "label4": label**4,
        "residual2_label": squares * label,
        "residual2_label2": squares * np.square(label),
    }
    moments = {
        "prediction": said[usable],
        "label": label,
        "residual": residual,
        "absolute": np.abs(residual),
        "square": squares,
    }
    return Parts(
        (int(known.sum()), int(judged.sum()), 0),
        _NONE,
        _NONE,
        {name: exact_sum(values) for name, values in sums.items()},
        {name: Moments.of(values) for name, values in moments.items()},
    )


def numbers(values: Column) -> Floats:
    """Numbers of a size that can be used, NaN for all else."""
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, _REAL):
        return np.nan
    return float(value) if -LARGEST <= value <= LARGEST else np.nan
