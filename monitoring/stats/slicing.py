"""Which level of a slice an answer lies in: by rules that are fixed when the slice is declared, so that counts of any
two buckets can be added."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

OTHER, MISSING = "other", "missing"
MAX_LEVELS = 10  # beside other and missing


class Slicing(NamedTuple):
    """A declared slice: of a feature, or of the `slices` that an answer is logged with. Texts have `levels`, what is
    none of them is "other"; numbers have `cuts` between levels. It counts the answers received from `since` to
    `until`."""

    id: int
    name: str
    source: Literal["slice", "feature"]
    levels: tuple[str, ...]
    cuts: tuple[float, ...]
    since: datetime
    until: datetime | None = None

    @property
    def places(self) -> list[str]:
        """Names of the levels, in the order of their places.

        >>> Slicing(1, "age", "feature", (), (40.0, 65.0), datetime(2026, 1, 1)).places
        ['under 40', '40 to 65', '65 and over', 'missing']
        """
        if not self.cuts:
            return [*self.levels, OTHER, MISSING]
        texts = [f"{cut:.10g}" for cut in self.cuts]
        inner = [f"{low} to {high}" for low, high in itertools.pairwise(texts)]
        return [f"under {texts[0]}", *inner, f"{texts[-1]} and over", MISSING]

    def counts(self, received_at: datetime) -> bool:
        """Whether an answer that was received then is counted. It never changes, whenever its label comes."""
        return received_at >= self.since and (self.until is None or received_at < self.until)

    def place(self, features: Mapping[str, Any], slices: Mapping[str, Any]) -> int:
        """Place of the level of an answer. Where the features of an answer are erased, what it kept of them is in its
        slices, under the same name."""
        value = features[self.name] if self.source == "feature" and self.name in features else slices.get(self.name)
        if self.cuts:
            number = number_of(value)
            return len(self.cuts) + 1 if number is None else bisect.bisect_right(self.cuts, number)
        text = spelled(value)
        if text == "":
            return len(self.levels) + 1
        return self.levels.index(text) if text in self.levels else len(self.levels)


def spelled(value: Any) -> str:
    """A value as a level is written; "" for none.

    >>> spelled(2.0), spelled(True), spelled(None), spelled(" north ")
    ('2', 'true', '', 'north')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value).strip()


def number_of(value: Any) -> float | None:
    """A value as a finite number; None for anything else.

    >>> number_of("41.5"), number_of(True), number_of("forty")
    (41.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
