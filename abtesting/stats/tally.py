"""What the answers of an arm add up to: counts and exact sums that never need the rows again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.exact import Moments
from monitoring.stats.answers import Answers, Column, class_codes, numbers
from monitoring.stats.tally import Shape, Tally

__all__ = ["Answers", "ArmTally", "Shape"]

MAGIC = b"SAT1"


@dataclass(frozen=True)
class ArmTally:
    """What one arm answered and what became of it. Tallies of one shape form a group: `+` is associative and
    commutative and `-` undoes it, so a late label or a corrected one is added as the tally with it minus without.

    Confusion, latencies, errors, scores on 200 bins and the moments of the errors are those of monitoring's tally;
    `alerts` are answers decided as positive, `reviewed` those that a person decided on as well, `overridden` those of
    them that the person decided otherwise, `outcome` numbers such as the sum that was paid.
    """

    answers: Tally
    alerts: int = 0
    reviewed: int = 0
    overridden: int = 0
    outcome: Moments = field(default_factory=Moments)

    @classmethod
    def empty(cls, shape: Shape) -> ArmTally:
        """Nothing yet: the neutral element of `+`."""
        return cls(Tally.empty(shape))

    @classmethod
    def of(
        cls, answers: Answers, shape: Shape, *, human_decision: Column | None = None, outcome: Column | None = None
    ) -> ArmTally:
        """The tally of n answers. `human_decision` and `outcome` have a cell each, None where there is none.

        >>> said = Answers(["yes", "no"], [0.9, 0.2], [1, 0], [False, False], [1.5, 2.5], ["yes", None])
        >>> found = ArmTally.of(said, Shape("classification", ("no", "yes"), "yes"), human_decision=["no", None])
        >>> found.units, found.judged, found.alerts, found.reviewed, found.overridden
        (2, 1, 1, 1, 1)
        """
        n = len(answers.prediction)
        for name, part in (("human_decision", human_decision), ("outcome", outcome)):
            if part is not None and len(part) != n:
                raise ValueError(f"{name} must have {n} cells but got {len(part)}")
        tally, alerts, reviewed, overridden = Tally.of(answers, shape), 0, 0, 0
        if shape.task_type == "classification":
            said = class_codes(answers, shape)[1]
            theirs = [None] * n if human_decision is None else human_decision
            human = class_codes(answers._replace(label=theirs), shape)[0]
            both = (said >= 0) & (human >= 0)
            reviewed, overridden = int(both.sum()), int((both & (said != human)).sum())
            alerts = int((said == shape.positive_code).sum()) if shape.is_binary else 0
        known = numbers([] if outcome is None else outcome)
        return cls(tally, alerts, reviewed, overridden, Moments.of(known[~np.isnan(known)]))

    @property
    def shape(self) -> Shape:
        return self.answers.shape

    @property
    def units(self) -> int:
        """Answers, with and without label."""
        return self.answers.rows

    @property
    def judged(self) -> int:
        """Answers whose label is known and can be compared with them."""
        return self.answers.judged

    @property
    def cells(self) -> Counts:
        """Judged answers of two classes: true and false positives, false and true negatives: (tp, fp, fn, tn). Of more
        classes, right ones stand for tp and wrong ones for fn."""
        if not self.shape.is_binary:
            return np.array([self.answers.hits, 0, self.judged - self.answers.hits, 0])
        own, yes = self.answers.confusion, self.shape.positive_code
        return np.array([own[yes, yes], own[1 - yes, yes], own[yes, 1 - yes], own[1 - yes, 1 - yes]])

    def to_bytes(self) -> bytes:
        """Compact bytes without pickle; the shape is among them."""
        fields = [self.alerts, self.reviewed, self.overridden, *self.outcome.to_json(extremes=False)]
        own = json.dumps(fields, separators=(",", ":")).encode()
        check = len(own).to_bytes(4, "little") + zlib.crc32(own).to_bytes(4, "little")
        return MAGIC + check + own + self.answers.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes, shape: Shape | None = None) -> ArmTally:
        """The reverse of `to_bytes`; no bytes are an empty tally of `shape`. ValueError for anything else."""
        if not data and shape is not None:
            return cls.empty(shape)
        own, answers = _parted(data)
        return cls._with_fields(Tally.from_bytes(answers, shape), [own])

    @classmethod
    def sum_of_bytes(cls, parts: Iterable[bytes], shape: Shape) -> ArmTally:
        """Sum of what `from_bytes` would read and `+` add, in a third of the time; ValueError as there."""
        parted = [_parted(data) for data in parts if data]
        return cls._with_fields(
            Tally.sum_of_bytes((answers for _, answers in parted), shape), [own for own, _ in parted]
        )

    @classmethod
    def _with_fields(cls, answers: Tally, parts: list[bytes]) -> ArmTally:
        try:
            fields = [json.loads(own) for own in parts]
            alerts, reviewed, overridden = (sum(int(own[place]) for own in fields) for place in range(3))
            return cls(answers, alerts, reviewed, overridden, Moments.sum_of_json([own[3:] for own in fields]))
        except (AttributeError, IndexError, OverflowError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ValueError(f"arm's tally must have complete fields but got {error!r}") from error

    def __add__(self, other: ArmTally) -> ArmTally:
        return ArmTally(
            self.answers + other.answers,
            self.alerts + other.alerts,
            self.reviewed + other.reviewed,
            self.overridden + other.overridden,
            self.outcome + other.outcome,
        )

    def __sub__(self, other: ArmTally) -> ArmTally:
        return ArmTally(
            self.answers - other.answers,
            self.alerts - other.alerts,
            self.reviewed - other.reviewed,
            self.overridden - other.overridden,
            self.outcome - other.outcome,
        )


def _parted(data: bytes) -> tuple[bytes, bytes]:
    """An arm's own fields, and the bytes of its answers."""
    if data[:4] != MAGIC:
        raise ValueError(f"arm's tally must begin with {MAGIC!r} but got {data[:4]!r}")
    end = 12 + int.from_bytes(data[4:8], "little")
    if zlib.crc32(data[12:end]) != int.from_bytes(data[8:12], "little"):
        raise ValueError(f"arm's tally must be intact but got {len(data)} bytes with another checksum")
    return data[12:end], data[end:]
