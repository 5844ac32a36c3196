"""What a tally counts: its parts, in which order, on which edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.heldout import SCORE_BINS as SCORE_BINS
from mlops_site.stats.scored import TaskType

Label = bool | int | float | str
Part = Literal["totals", "latency", "scores", "confusion"]

MAX_CLASSES = 64  # with more, hits and misses are counted, but not which class was taken for which
LARGEST = 1e70  # the fourth power of a larger number is no float
LONGEST_MS = 1e9
# Whole microseconds, 20 to a factor of ten, from 10 microseconds to 1,000 seconds: the same on any machine.
LATENCY_EDGES: Counts = np.array([round(10 ** (step / 20)) for step in range(20, 181)], dtype=np.int64)

TOTALS = ("rows", "errors", "labelled", "judged", "hits")
VALUES = ("prediction", "label", "residual", "absolute", "square")
PRODUCTS = ("label3", "label4", "residual2_label", "residual2_label2")


@dataclass(frozen=True)
class Shape:
    """What is tallied: a value, or labels that are one of `classes`, of two of which one is `positive`.

    >>> Shape("classification", ("no", "yes"), "yes").is_binary
    True
    """

    task_type: TaskType
    classes: tuple[Label, ...] = ()
    positive: Label | None = None

    @property
    def is_binary(self) -> bool:
        return len(self.classes) == 2

    @property
    def positive_code(self) -> int:
        """Where the positive class of two stands."""
        return 1 if self.positive is None else self.classes.index(self.positive)

    @cached_property
    def slices(self) -> dict[Part, slice]:
        """Where each part lies in the one array of counts."""
        kept = len(self.classes) if len(self.classes) <= MAX_CLASSES else 0
        widths: dict[Part, int] = {
            "totals": len(TOTALS),
            "latency": len(LATENCY_EDGES) + 1,
            "scores": 3 * SCORE_BINS if self.is_binary else 0,
            "confusion": kept * kept,
        }
        ends = np.cumsum(list(widths.values())).tolist()
        return {part: slice(end - width, end) for (part, width), end in zip(widths.items(), ends, strict=True)}

    @property
    def width(self) -> int:
        """Number of counts."""
        return int(max(part.stop for part in self.slices.values()))

    @property
    def sums(self) -> tuple[str, ...]:
        """Names of the exact sums."""
        return ("latency_us", *PRODUCTS) if self.task_type == "regression" else ("latency_us",)

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the moments."""
        return VALUES if self.task_type == "regression" else ("brier",) if self.is_binary else ()

    def to_json(self) -> list[Any]:
        return [self.task_type, list(self.classes), self.positive]


def shape_of(signature: Mapping[str, Any]) -> Shape:
    """The shape of a version, from its signature as JSON."""
    return Shape(signature["task_type"], tuple(signature.get("classes") or ()), signature.get("positive_class"))
