"""What a version's answers and their labels add up to: counts and exact sums that never need the rows again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mlops_site.stats import codec
from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments, read_fraction, sum_of_fractions
from monitoring.stats.answers import Answers, judged_classes, judged_values, latencies
from monitoring.stats.shape import LATENCY_EDGES, MAX_CLASSES, SCORE_BINS, Shape, shape_of

__all__ = ["LATENCY_EDGES", "MAX_CLASSES", "SCORE_BINS", "Answers", "Shape", "Tally", "shape_of"]

MAGIC = b"STL1"


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts, exact sums and moments of answers. Tallies of one shape form a group: `+` is associative and
    commutative and `-` undoes it, without rounding. What a label adds to an answer is `of` with it minus `of`
    without; what a correction adds is `of` the new one minus `of` the old one.

    An answer is judged when its label is known and it can be compared with it.
    """

    shape: Shape
    counts: Counts
    sums: Mapping[str, Fraction]
    moments: Mapping[str, Moments]

    @classmethod
    def empty(cls, shape: Shape) -> Tally:
        """Nothing yet: the neutral element of `+`."""
        counts = np.zeros(shape.width, dtype=np.int64)
        return cls(shape, counts, dict.fromkeys(shape.sums, Fraction(0)), dict.fromkeys(shape.values, Moments()))

    @classmethod
    def of(cls, answers: Answers, shape: Shape) -> Tally:
        """The tally of n answers. What is out of range or no class of the shape is left out, and raises nothing.

        >>> said = Answers(["yes", "no"], [0.9, 0.2], [1, 0], [False, False], [1.5, 2.5], ["yes", None])
        >>> found = Tally.of(said, Shape("classification", ("no", "yes"), "yes"))
        >>> found.rows, found.labelled, found.hits
        (2, 1, 1)
        """
        lengths = sorted({len(part) for part in answers})
        if len(lengths) != 1:
            raise ValueError(f"answers must have parts of one length but got {lengths}")
        latency, latency_us = latencies(answers.latency_ms)
        found = (judged_values if shape.task_type == "regression" else judged_classes)(answers, shape)
        totals = [lengths[0], int(np.count_nonzero(answers.status_is_error)), *found.totals]
        counts = np.concatenate([totals, latency, found.scores, found.confusion]).astype(np.int64)
        return cls(shape, counts, {"latency_us": latency_us, **found.sums}, found.moments)

    def to_bytes(self) -> bytes:
        """Compact bytes without pickle; the shape is among them."""
        sums = {name: str(total) for name, total in self.sums.items()}
        moments = {name: own.to_json() for name, own in self.moments.items()}
        header = {"shape": self.shape.to_json(), "sums": sums, "moments": moments}
        return codec.pack(header, self.counts, magic=MAGIC)

    @classmethod
    def from_bytes(cls, data: bytes, shape: Shape | None = None) -> Tally:
        """The reverse of `to_bytes`. No bytes are an empty tally of `shape`.

        Raises ValueError for bytes that are cut, altered or too large, and for another shape than theirs.
        """
        if not data and shape is not None:
            return cls.empty(shape)
        header, counts = codec.unpack(data, magic=MAGIC, what="tally")
        try:
            task_type, classes, positive = header["shape"]
            own = Shape(task_type, tuple(classes), positive)
            own = shape if shape == own else own  # which knows its parts already
            sums = {name: read_fraction(header["sums"][name]) for name in own.sums}
            moments = {name: Moments.from_json(header["moments"][name]) for name in own.values}
            found = cls(own, counts, sums, moments)
            width = own.width
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ValueError(f"tally must have a complete header but got {error!r}") from error
        if len(counts) != width or int(found.confusion.sum()) not in (0, found.judged):
            raise ValueError(f"tally must hold {width} counts that agree but got {len(counts)}")
        if shape is not None and shape != own:
            raise ValueError(f"tally must have the shape {shape} but got {own}")
        return found

    @classmethod
    def sum_of_bytes(cls, parts: Iterable[bytes], shape: Shape) -> Tally:
        """Sum of what `from_bytes` would read and `+` add, in a third of the time; ValueError as there."""
        counts, fields = np.zeros(shape.width, dtype=np.int64), shape.to_json()
        sums: dict[str, list[str]] = {name: [] for name in shape.sums}
        moments: dict[str, list[Any]] = {name: [] for name in shape.values}
        try:
            for data in filter(None, parts):
                header, own = codec.unpack(data, magic=MAGIC, what="tally")
                if header["shape"] != fields or len(own) != len(counts):
                    raise ValueError(f"tally must have {len(counts)} counts of {shape} but got {header['shape']}")
                counts += own
                for kept, name in ((sums, "sums"), (moments, "moments")):
                    for key, known in kept.items():
                        known.append(header[name][key])
            added = {name: sum_of_fractions(texts) for name, texts in sums.items()}
            return cls(shape, counts, added, {name: Moments.sum_of_json(own) for name, own in moments.items()})
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ZeroDivisionError) as error:
            raise ValueError(f"tally must have a complete header but got {error!r}") from error

    @property
    def rows(self) -> int:
        return int(self.counts[0])

    @property
    def errors(self) -> int:
        return int(self.counts[1])

    @property
    def labelled(self) -> int:
        """Answers whose label is known."""
        return int(self.counts[2])

    @property
    def judged(self) -> int:
        return int(self.counts[3])

    @property
    def hits(self) -> int:
        """Judged answers of a classifier that were right."""
        return int(self.counts[4])

    @property
    def coverage(self) -> float | None:
        """Share of the answers whose label is known; None without answers."""
        return self.labelled / self.rows if self.rows > 0 else None

    @property
    def latency(self) -> Counts:
        """Answers by latency: up to the first of LATENCY_EDGES, ..., beyond the last. Shape (162,)."""
        return self.counts[self.shape.slices["latency"]]

    @property
    def scores(self) -> Counts:
        """Scores of two classes on 200 equal bins: of all answers, of truly negative, of truly positive ones.
        Shape (3, 200), or (0, 200) of other shapes."""
        return self.counts[self.shape.slices["scores"]].reshape(-1, SCORE_BINS)

    @property
    def confusion(self) -> Counts:
        """Judged answers by true and by answered class, shape (k, k); (0, 0) for more than 64 classes."""
        found = self.counts[self.shape.slices["confusion"]]
        return found.reshape(math.isqrt(len(found)), -1) if len(found) else found.reshape(0, 0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tally):
            return NotImplemented
        same = self.shape == other.shape and np.array_equal(self.counts, other.counts)
        return same and self.sums == other.sums and self.moments == other.moments

    def __add__(self, other: Tally) -> Tally:
        return self._with(other, 1)

    def __sub__(self, other: Tally) -> Tally:
        return self._with(other, -1)

    def _with(self, other: Tally, sign: int) -> Tally:
        if self.shape != other.shape:
            raise ValueError(f"tallies must have one shape but got {self.shape} and {other.shape}")
        sums = {name: own + sign * other.sums[name] for name, own in self.sums.items()}
        pairs = {name: (own, other.moments[name]) for name, own in self.moments.items()}
        moments = {name: own + more if sign > 0 else own - more for name, (own, more) in pairs.items()}
        return Tally(self.shape, self.counts + sign * other.counts, sums, moments)
