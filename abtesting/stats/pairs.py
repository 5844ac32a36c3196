"""What two models said of the same claims, counted pair by pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abtesting.stats.blocks import BLOCKS, Blocks
from mlops_site.stats import codec
from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments
from mlops_site.stats.scored import Floats
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
    claim. `blocks`: the errors of both once more, in blocks of units; None where it was not said of which unit a claim
    is, and of what was kept before there were blocks. No histogram holds pairs of scores, so roc_auc is compared
    between arms or from rows, never here.
    """

    shape: Shape
    totals: Counts
    cells: Counts
    moments: Mapping[str, Moments]
    blocks: Blocks | None = None

    @classmethod
    def empty(cls, shape: Shape) -> PairTally:
        """Nothing yet: the neutral element of `+`."""
        return cls.of(*(Answers([], [], [], [], [], []),) * 2, shape, scored=[], block=[])

    @classmethod
    def of(cls, a: Answers, b: Answers, shape: Shape, *, scored: Column, block: Column | None = None) -> PairTally:
        """The tally of n claims: A's answers with the labels, B's, whether B has scored them yet, failed or not, and
        the blocks of their units.

        >>> a = Answers(["yes", "no"], [0.9, 0.2], [1, 0], [False] * 2, [1, 1], ["yes", "yes"])
        >>> b = Answers(["yes", "yes"], [0.9, 0.8], [1, 1], [False] * 2, [1, 1], [None, None])
        >>> PairTally.of(a, b, Shape("classification", ("no", "yes"), "yes"), scored=[True, True]).cells.tolist()
        [0, 0, 0, 1, 0, 0, 0, 1]
        """
        lengths = sorted({len(part) for part in (*a, *b, scored, scored if block is None else block)})
        if len(lengths) != 1:
            raise ValueError(f"answers must have parts of one length but got {lengths}")
        b = b._replace(label=a.label)
        done = np.asarray(scored, dtype=np.bool_)
        failed = done & np.asarray(b.status_is_error, dtype=np.bool_)
        good = done & ~failed & ~np.asarray(a.status_is_error, dtype=np.bool_)
        agreed, cells, judged, errors = (_values if shape.task_type == "regression" else _classes)(a, b, shape, good)
        totals = [lengths[0], int((done & ~failed).sum()), int(failed.sum()), agreed]
        own = None if block is None else Blocks.of(np.asarray(block, dtype=np.int64)[judged], errors)
        return cls(shape, np.array(totals, dtype=np.int64), cells, _moments(errors, shape), own)

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
        counts, header = [self.totals, self.cells], {"shape": self.shape.to_json(), "moments": moments}
        if self.blocks is not None:
            counts, header = [*counts, self.blocks.counts], {**header, "blocks": self.blocks.to_json()}
        return codec.pack(header, np.concatenate(counts), magic=MAGIC)

    @classmethod
    def from_bytes(cls, data: bytes, shape: Shape | None = None) -> PairTally:
        """The reverse of `to_bytes`; no bytes are an empty tally of `shape`. ValueError for anything else."""
        if not data and shape is not None:
            return cls.empty(shape)
        return cls._sum([codec.unpack(data, magic=MAGIC, what="pairs' tally")], shape)

    @classmethod
    def sum_of_bytes(cls, parts: Iterable[bytes], shape: Shape) -> PairTally:
        """Sum of what `from_bytes` would read and `+` add, several times as fast; ValueError as there."""
        read = [codec.unpack(data, magic=MAGIC, what="pairs' tally") for data in parts if data]
        return cls._sum(read, shape) if read else cls.empty(shape)

    @classmethod
    def _sum(cls, parts: Sequence[tuple[dict[str, Any], Counts]], shape: Shape | None) -> PairTally:
        try:
            shapes = {(task, tuple(classes), positive) for task, classes, positive in (h["shape"] for h, _ in parts)}
            own = Shape(*next(iter(shapes)))
            in_blocks = ["blocks" in header for header, _ in parts]
            expected = [_COUNTS + BLOCKS * each for each in in_blocks]
            sizes = [len(counts) for _, counts in parts]
            if len(shapes) > 1 or sizes != expected or (shape is not None and shape != own):
                raise ValueError(f"{expected} counts of {shape or own} but got {sizes} of {shapes}")
            each = {name: [header["moments"][name] for header, _ in parts] for name in _names(own, "_a", "_b", "")}
            moments = {name: Moments.sum_of_json(fields) for name, fields in each.items()}
            counts = np.sum([own_counts[:_COUNTS] for _, own_counts in parts], axis=0)
            blocks = None
            if all(in_blocks):
                total = np.sum([own_counts[_COUNTS:] for _, own_counts in parts], axis=0)
                blocks = Blocks.sum_of_json(total, [header["blocks"] for header, _ in parts], _names(own, "_a", "_b"))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ValueError(f"pairs' tally must have a complete header but got {error!r}") from error
        return cls(own, counts[: len(TOTALS)], counts[len(TOTALS) :], moments, blocks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PairTally):
            return NotImplemented
        same = np.array_equal(self.totals, other.totals) and np.array_equal(self.cells, other.cells)
        alike = None in (self.blocks, other.blocks) or self.blocks == other.blocks
        return same and alike and self.shape == other.shape and self.moments == other.moments

    def __add__(self, other: PairTally) -> PairTally:
        return self._with(other, 1)

    def __sub__(self, other: PairTally) -> PairTally:
        return self._with(other, -1)

    def _with(self, other: PairTally, sign: int) -> PairTally:
        if self.shape != other.shape:
            raise ValueError(f"tallies must have one shape but got {self.shape} and {other.shape}")
        pairs = {name: (own, other.moments[name]) for name, own in self.moments.items()}
        moments = {name: own + more if sign > 0 else own - more for name, (own, more) in pairs.items()}
        blocks = None
        if self.blocks is not None and other.blocks is not None:
            blocks = self.blocks.plus(other.blocks, sign)
        totals, cells = self.totals + sign * other.totals, self.cells + sign * other.cells
        return PairTally(self.shape, totals, cells, moments, blocks)


_COUNTS = len(TOTALS) + 8
_Parts = tuple[int, Counts, Any, dict[str, Floats]]  # agreed, cells, which claims are judged, their errors


def _names(shape: Shape, *sides: str) -> list[str]:
    errors = _ERRORS[shape.task_type] if shape.is_binary or shape.task_type == "regression" else ()
    return [f"{name}{side}" for name in errors for side in sides]


def _moments(errors: Mapping[str, Floats], shape: Shape) -> dict[str, Moments]:
    if not errors:
        return {}
    steps = {name: errors[f"{name}_b"] - errors[f"{name}_a"] for name in _names(shape, "")}
    values = {**errors, **steps}
    return {name: Moments.of(values[name]) for name in _names(shape, "_a", "_b", "")}


def _classes(a: Answers, b: Answers, shape: Shape, good: Any) -> _Parts:
    truth, said_a = class_codes(a, shape)
    said_b = class_codes(b, shape)[1]
    both = good & (said_a >= 0) & (said_b >= 0)
    agreed, judged = int((both & (said_a == said_b)).sum()), both & (truth >= 0)
    yes = shape.positive_code if shape.is_binary else truth
    places = 4 * (said_a == yes) + 2 * (said_b == yes) + (truth == yes)
    cells = np.bincount(places[judged], minlength=8).astype(np.int64)
    if not shape.is_binary:
        return agreed, cells, np.zeros(len(truth), dtype=np.bool_), {}
    score_a, score_b = np.asarray(a.score, dtype=np.float64), np.asarray(b.score, dtype=np.float64)
    usable = good & (truth >= 0) & (abs(score_a - 0.5) <= 0.5) & (abs(score_b - 0.5) <= 0.5)
    label = (truth[usable] == yes).astype(np.float64)
    errors = {"brier_a": np.square(score_a[usable] - label), "brier_b": np.square(score_b[usable] - label)}
    return agreed, cells, usable, errors


def _values(a: Answers, b: Answers, shape: Shape, good: Any) -> _Parts:
    truth, said_a, said_b = numbers(a.label), numbers(a.prediction), numbers(b.prediction)
    judged = good & ~np.isnan(truth) & ~np.isnan(said_a) & ~np.isnan(said_b)
    miss_a, miss_b = (np.abs(said[judged] - truth[judged]) for said in (said_a, said_b))
    agreed = int((good & (said_a == said_b)).sum())
    squares = {"rmse_a": np.square(miss_a), "rmse_b": np.square(miss_b)}
    return agreed, np.zeros(8, dtype=np.int64), judged, {"mae_a": miss_a, "mae_b": miss_b, **squares}
