"""What a version was given against what its feature sets say: one feature at a time, one pair a prediction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

TOLERANCE = 1e-9  # relative: a number that went through a file and back is the same number
SHOWN = 5


class Absent(Enum):
    """No value: nothing was known, or what was is stale."""

    NONE = "none"


NONE = Absent.NONE


class Pair(NamedTuple):
    """What a prediction was given, and the feature set's value: as known `then`, as known a moment `before`, and as it
    is known `now` of that time. None is a value that is known to be missing; NONE is no value."""

    prediction_id: str
    unit_id: str
    at: datetime
    completed: bool
    served: Any
    then: Any
    before: Any
    now: Any


class Verdict(Enum):
    """DIFFERENT is skew. LATE: it agrees with what was known, or was under way, but more arrived afterwards. UNKNOWN:
    there is nothing to compare with, then or now."""

    SAME = "same"
    DIFFERENT = "different"
    LATE = "late"
    UNKNOWN = "unknown"


class Example(NamedTuple):
    prediction_id: str
    unit_id: str
    at: datetime
    verdict: str
    served: Any
    recomputed: Any


class FeatureSkew(NamedTuple):
    """One feature. `compared` = same + different + late; shares are of these; None where nothing was compared.
    `mean_abs_difference` is over the compared pairs of numbers, served against known then (now, of late ones)."""

    feature: str
    feature_set: str
    masked: bool
    completed: int
    given: int
    unknown: int
    compared: int
    different: int
    different_share: float | None
    late: int
    late_share: float | None
    mean_abs_difference: float | None
    examples: list[Example]


def judged(pair: Pair) -> Verdict:
    """
    >>> at = datetime(2026, 1, 1)
    >>> known = [(3, 3, 3), (4, 4, 4), (3, 3, 5), (NONE, NONE, NONE)]
    >>> [judged(Pair("", "", at, True, 3, *each)).value for each in known]
    ['same', 'different', 'late', 'unknown']
    """
    if pair.then is NONE and pair.now is NONE:
        return Verdict.UNKNOWN
    if pair.then is NONE or (same(pair.served, pair.before) and not same(pair.served, pair.then)):
        return Verdict.LATE if not same(pair.served, pair.now) else Verdict.SAME
    if not same(pair.served, pair.then):
        return Verdict.DIFFERENT
    return Verdict.SAME if same(pair.served, pair.now) else Verdict.LATE


def same(one: Any, other: Any) -> bool:
    if _is_number(one) and _is_number(other):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=0.0)
    return type(one) is type(other) and bool(one == other)


def feature_skew(feature: str, feature_set: str, pairs: Sequence[Pair], *, masked: bool) -> FeatureSkew:
    """The pairs of one feature, summed up; examples are the newest that are not the same, their values left out where
    they are `masked`."""
    verdicts = [judged(pair) for pair in pairs]
    counts = {verdict: verdicts.count(verdict) for verdict in Verdict}
    compared = len(pairs) - counts[Verdict.UNKNOWN]
    odd = [
        _example(pair, verdict, masked)
        for pair, verdict in zip(pairs, verdicts, strict=True)
        if verdict in (Verdict.DIFFERENT, Verdict.LATE)
    ]
    odd.sort(key=lambda each: (each.verdict == Verdict.LATE.value, -each.at.timestamp()))
    completed = sum(pair.completed for pair in pairs)
    return FeatureSkew(
        feature=feature,
        feature_set=feature_set,
        masked=masked,
        completed=completed,
        given=len(pairs) - completed,
        unknown=counts[Verdict.UNKNOWN],
        compared=compared,
        different=counts[Verdict.DIFFERENT],
        different_share=_share(counts[Verdict.DIFFERENT], compared),
        late=counts[Verdict.LATE],
        late_share=_share(counts[Verdict.LATE], compared),
        mean_abs_difference=None if masked else _mean(_distances(pairs, verdicts)),
        examples=odd[:SHOWN],
    )


def _distances(pairs: Sequence[Pair], verdicts: Sequence[Verdict]) -> Iterable[float]:
    for pair, verdict in zip(pairs, verdicts, strict=True):
        against = recomputed(pair, verdict)
        if verdict is not Verdict.UNKNOWN and _is_number(pair.served) and _is_number(against):
            yield abs(float(pair.served) - float(against))


def recomputed(pair: Pair, verdict: Verdict) -> Any:
    """What the served value is held against."""
    return pair.now if verdict is Verdict.LATE or pair.then is NONE else pair.then


def _example(pair: Pair, verdict: Verdict, masked: bool) -> Example:
    against = recomputed(pair, verdict)
    shown = (None, None) if masked else (pair.served, None if against is NONE else against)
    return Example(pair.prediction_id, pair.unit_id, pair.at, verdict.value, *shown)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return math.fsum(found) / len(found) if found else None
