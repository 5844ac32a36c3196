"""What two models said of the same claims, counted pair by pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_site.stats import codec
from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments
from monitoring.stats.answers import Answers, Column, class_codes, numbers
from monitoring.stats.shape import Shape

__all__ = ["Answers", "PairTally", "Shape"]

MAGIC = b"SPT1"
TOTALS = ("answered", "scored", "failed", "agreed")
_ERRORS = {"classification": ("brier",), "regression": ("mae", "rmse")}


@dataclass(frozen=True, eq=False)
class PairTally:
    """What A and B said of the same claims. A group under `+` and `-`, as `ArmTally`.

    `totals`: claims that A answered, that B scored without an error, that B failed on, and those of the scored ones on
    which both decided alike. `cells`, shape (8,): judged claims by A's decision, B's decision and label, each 1 for
    positive, at 4 a + 2 b + label; of more than two classes a and b say whether the decision was right, and label is 1.
    `moments`: for brier, mae and rmse the (squared or absolute) errors of A, those of B, and B's less A's, claim by
    claim. No histogram holds pairs of scores, so roc_auc is compared between arms or from rows, never here.
    """

    shape: Shape
    totals: Counts
    cells: Counts
    moments: Mapping[str, Moments]

    @classmethod
    def empty(cls, shape: Shape) -> PairTally:
        """Nothing yet: the neutral element of `+`."""
        return cls.of(*(Answers([], [], [], [], [], []),) * 2, shape, scored=[])

    @classmethod
    def of(cls, a: Answers, b: Answers, shape: Shape, *, scored: Column) -> PairTally:
        """The tally of n claims: A's answers with the labels, B's, and whether B has scored them yet, failed or not.

        >>> a = Answers(["yes", "no"], [0.9, 0.2], [1, 0], [False] * 2, [1, 1], ["yes", "yes"])
        >>> b = Answers(["yes", "yes"], [0.9, 0.8], [1, 1], [False] * 2, [1, 1], [None, None])
        >>> PairTally.of(a, b, Shape("classification", ("no", "yes"), "yes"), scored=[True, True]).cells.tolist()
        [0, 0, 0, 1, 0, 0, 0, 1]
        """
        lengths = sorted({len(part) for part in (*a, *b, scored)})
        if len(lengths) != 1:
            raise ValueError(f"answers must have parts of one length but got {lengths}")
        b = b._replace(label=a.label)
        done = np.asarray(scored, dtype=np.bool_)
        failed = done & np.asarray(b.status_is_error, dtype=np.bool_)
        good = done & ~failed & ~np.asarray(a.status_is_error, dtype=np.bool_)
        found = (_values if shape.task_type == "regression" else _classes)(a, b, shape, good)
        totals = [lengths[0], int((done & ~failed).sum()), int(failed.sum()), found[0]]
        return cls(shape, np.array(totals, dtype=np.int64), found[1], found[2])

    @property
    def judged(self) -> int:
        """Claims with a label on which both can be judged."""
        return int(self.cells.sum()) if self.shape.task_type == "classification" else self.moments["mae"].count

    @property
    def coverage(self) -> float | None:
        """Share of A's answers that B has scored, or failed on; None without answers."""
        answered, scored, failed, _ = self.totals.tolist()
        return (scored + failed) / answered if answered > 0 else None

    def to_bytes(self) -> bytes:
        """Compact bytes without pickle; the shape is among them."""
        moments = {name: own.to_json(extremes=False) for name, own in self.moments.items()}
        counts = np.concatenate([self.totals, self.cells])
        return codec.pack({"shape": self.shape.to_json(), "moments": moments}, counts, magic=MAGIC)

    @classmethod
    def from_bytes(cls, data: bytes, shape: Shape | None = None) -> PairTally:
        """The reverse of `to_bytes`; no bytes are an empty tally of `shape`. ValueError for anything else."""
        if not data and shape is not None:
            return cls.empty(shape)
        header, counts = codec.unpack(data, magic=MAGIC, what="pairs' tally")
        try:
            task_type, classes, positive = header["shape"]
            own = Shape(task_type, tuple(classes), positive)
            moments = {name: Moments.from_json(header["moments"][name]) for name in _names(own)}
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ValueError(f"pairs' tally must have a complete header but got {error!r}") from error
        if len(counts) != len(TOTALS) + 8 or (shape is not None and shape != own):
            raise ValueError(f"pairs' tally must have 12 counts of {shape or own} but got {len(counts)} of {own}")
        return cls(own, counts[: len(TOTALS)], counts[len(TOTALS) :], moments)

    @classmethod
    def sum_of_bytes(cls, parts: Iterable[bytes], shape: Shape) -> PairTally:
        """Sum of what `from_bytes` would read; ValueError as there."""
        return sum((cls.from_bytes(data, shape) for data in parts), cls.empty(shape))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PairTally):
            return NotImplemented
        same = np.array_equal(self.totals, other.totals) and np.array_equal(self.cells, other.cells)
        return same and self.shape == other.shape and self.moments == other.moments

    def __add__(self, other: PairTally) -> PairTally:
        return self._with(other, 1)

    def __sub__(self, other: PairTally) -> PairTally:
        return self._with(other, -1)

    def _with(self, other: PairTally, sign: int) -> PairTally:
        if self.shape != other.shape:
            raise ValueError(f"tallies must have one shape but got {self.shape} and {other.shape}")
        pairs = {name: (own, other.moments[name]) for name, own in self.moments.items()}
        moments = {name: own + more if sign > 0 else own - more for name, (own, more) in pairs.items()}
        return PairTally(self.shape, self.totals + sign * other.totals, self.cells + sign * other.cells, moments)


_Parts = tuple[int, Counts, dict[str, Moments]]


def _names(shape: Shape) -> list[str]:
    errors = _ERRORS[shape.task_type] if shape.is_binary or shape.task_type == "regression" else ()
    return [f"{name}{side}" for name in errors for side in ("_a", "_b", "")]


def _sided(name: str, a: Any, b: Any) -> dict[str, Moments]:
    return {f"{name}_a": Moments.of(a), f"{name}_b": Moments.of(b), name: Moments.of(b - a)}


def _classes(a: Answers, b: Answers, shape: Shape, good: Any) -> _Parts:
    truth, said_a = class_codes(a, shape)
    said_b = class_codes(b, shape)[1]
    both = good & (said_a >= 0) & (said_b >= 0)
    agreed, judged = int((both & (said_a == said_b)).sum()), both & (truth >= 0)
    yes = shape.positive_code if shape.is_binary else truth
    places = 4 * (said_a == yes) + 2 * (said_b == yes) + (truth == yes)
    cells = np.bincount(places[judged], minlength=8).astype(np.int64)
    if not shape.is_binary:
        return agreed, cells, {}
    score_a, score_b = np.asarray(a.score, dtype=np.float64), np.asarray(b.score, dtype=np.float64)
    usable = good & (truth >= 0) & (abs(score_a - 0.5) <= 0.5) & (abs(score_b - 0.5) <= 0.5)
    label = (truth[usable] == yes).astype(np.float64)
    return agreed, cells, _sided("brier", np.square(score_a[usable] - label), np.square(score_b[usable] - label))


def _values(a: Answers, b: Answers, shape: Shape, good: Any) -> _Parts:
    truth, said_a, said_b = numbers(a.label), numbers(a.prediction), numbers(b.prediction)
    judged = good & ~np.isnan(truth) & ~np.isnan(said_a) & ~np.isnan(said_b)
    miss_a, miss_b = (np.abs(said[judged] - truth[judged]) for said in (said_a, said_b))
    agreed = int((good & (said_a == said_b)).sum())
    moments = _sided("mae", miss_a, miss_b) | _sided("rmse", np.square(miss_a), np.square(miss_b))
    return agreed, np.zeros(8, dtype=np.int64), moments
