"""What the answers of a bucket add up to beyond its tally: by error code, by how late labels came, by what people
decided, by slice; and of values by how large they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_site.stats import codec
from mlops_site.stats.bins import Counts
from monitoring.stats.answers import Answers
from monitoring.stats.followed import Followed, answered, of_all, of_levels
from monitoring.stats.layout import Layout, first_widths, layout_of_all, layout_of_level
from monitoring.stats.shape import Shape

MAGIC = b"STB1"
MAX_LEVELS = 64


@dataclass(frozen=True, eq=False)
class Breakdown:
    """Whole numbers alone. Breakdowns of one shape form a group: `+` is associative and commutative, `-` undoes it.
    `every` counts all answers, shape (w,); `slices` those in each level of a slice, by the slice's id, shape
    (levels, v); one that is absent is one that nothing was counted in.
    """

    shape: Shape
    every: Counts
    slices: Mapping[int, Counts]

    @classmethod
    def empty(cls, shape: Shape) -> Breakdown:
        """Nothing yet: the neutral element of `+`."""
        return cls(shape, np.zeros(layout_of_all(shape).width, dtype=np.int64), {})

    @classmethod
    def of(cls, rows: Followed, shape: Shape, levels: Mapping[int, int]) -> Breakdown:
        """Of n answers, in slices with so many levels by id."""
        return cls(shape, of_all(rows, shape), of_levels(rows, shape, levels))

    @classmethod
    def of_new(cls, answers: Answers, shape: Shape) -> Breakdown:
        """Of answers that are counted for the first time: what was said, whatever becomes of it."""
        found = cls.empty(shape)
        found.every[layout_of_all(shape).parts["answered"]] = answered(answers, shape)
        return found

    def part(self, name: str) -> Counts:
        """A part of all answers, as `layout_of_all` names it."""
        return self.every[layout_of_all(self.shape).parts[name]]

    def to_bytes(self) -> bytes:
        """Compact bytes without pickle: the places and the numbers that are not nought. Nothing is no bytes."""
        kept = {key: counts for key, counts in sorted(self.slices.items()) if counts.any()}
        flat = np.concatenate([self.every, *(counts.ravel() for counts in kept.values())])
        places = np.flatnonzero(flat)
        if not len(places):
            return b""
        keys = [[key, len(counts)] for key, counts in kept.items()]
        widths = [len(self.every), layout_of_level(self.shape).width]
        header = {"shape": self.shape.to_json(), "slices": keys, "widths": widths}
        return codec.pack(header, np.concatenate([np.diff(places, prepend=0), flat[places]]), magic=MAGIC)

    @classmethod
    def from_bytes(cls, data: bytes, shape: Shape) -> Breakdown:
        """The reverse of `to_bytes`; ValueError for bytes that are cut or altered, and for another shape."""
        return cls.sum_of_bytes([data], shape)

    @classmethod
    def sum_of_bytes(cls, parts: Iterable[bytes], shape: Shape) -> Breakdown:
        """Sum of what `from_bytes` would read; ValueError as there."""
        found = cls.empty(shape)
        every, slices, fields = found.every, dict[int, Counts](), shape.to_json()
        width = layout_of_level(shape).width
        for data in filter(None, parts):
            header, numbers = codec.unpack(data, magic=MAGIC, what="breakdown")
            places, counts = _sparse(header, numbers, fields)
            begin, own = _widths(header, shape)
            first = int(np.searchsorted(places, begin))
            every[places[:first]] += counts[:first]
            for key, levels in _keys(header):
                end = begin + levels * own
                last = int(np.searchsorted(places, end))
                kept = slices.setdefault(key, np.zeros((levels, width), dtype=np.int64))
                if len(kept) != levels:
                    raise ValueError(f"slice {key} must have {len(kept)} levels but got {levels}")
                at = places[first:last] - begin
                kept[at // own, at % own] += counts[first:last]
                begin, first = end, last
            if first < len(places):
                raise ValueError(f"breakdown must hold {begin} numbers but got one at {int(places[-1])}")
        return cls(shape, every, slices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Breakdown):
            return NotImplemented
        return self.shape == other.shape and not (self - other).to_bytes()

    def __add__(self, other: Breakdown) -> Breakdown:
        return self._with(other, 1)

    def __sub__(self, other: Breakdown) -> Breakdown:
        return self._with(other, -1)

    def _with(self, other: Breakdown, sign: int) -> Breakdown:
        if self.shape != other.shape:
            raise ValueError(f"breakdowns must have one shape but got {self.shape} and {other.shape}")
        slices = dict(self.slices)
        for key, counts in other.slices.items():
            slices[key] = slices[key] + sign * counts if key in slices else sign * counts
        return Breakdown(self.shape, self.every + sign * other.every, slices)


def level_part(counts: Counts, shape: Shape, name: str) -> Counts:
    """A part of one level, as `layout_of_level` names it; counts (v,)."""
    layout: Layout = layout_of_level(shape)
    return counts[layout.parts[name]]


def _sparse(header: Mapping[str, Any], numbers: Counts, fields: list[Any]) -> tuple[Counts, Counts]:
    if header.get("shape") != fields or len(numbers) % 2:
        raise ValueError(f"breakdown must have the shape {fields} but got {header.get('shape')!r}")
    steps, counts = numbers.reshape(2, -1)
    if (steps[1:] <= 0).any() or (len(steps) and steps[0] < 0):
        raise ValueError("breakdown must have places that rise")
    return steps.cumsum(), counts


def _widths(header: Mapping[str, Any], shape: Shape) -> tuple[int, int]:
    """Of all answers and of a level, as these bytes were written: parts were added at the end since."""
    most = layout_of_all(shape).width, layout_of_level(shape).width
    said = header.get("widths") or first_widths(shape)
    if not (isinstance(said, list | tuple) and len(said) == 2 and all(isinstance(width, int) for width in said)):
        raise ValueError(f"breakdown must have two widths but got {said!r:.80}")
    if not all(0 < own <= known for own, known in zip(said, most, strict=True)):
        raise ValueError(f"breakdown must be at most {most} wide but got {said!r:.80}")
    return said[0], said[1]


def _keys(header: Mapping[str, Any]) -> list[tuple[int, int]]:
    try:
        keys = [(int(key), int(levels)) for key, levels in header["slices"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"breakdown must name its slices but got {error!r}") from error
    if any(not 0 < levels <= MAX_LEVELS for _, levels in keys):
        raise ValueError(f"slices must have 1 to {MAX_LEVELS} levels but got {keys}")
    return keys
