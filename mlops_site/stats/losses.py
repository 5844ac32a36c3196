"""How large the losses of answers are by what was asked, learnt from held-out rows: an additive model.

A mean of an additive model needs the counts of each feature alone, so a window's profile is all that it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mlops_site.stats import codec
from mlops_site.stats.bins import Bins, Counts, FeatureBins
from mlops_site.stats.cells import read_cells
from mlops_site.stats.heldout import design_effect
from mlops_site.stats.scored import Floats

MAGIC = b"SLO1"
LEAST_ROWS = 200
MAX_FEATURES, GROUPS = 10, 10
PENALTY = 10.0  # rows' worth of doubt about each group


class MeanLoss(NamedTuple):
    """A mean loss that is to be expected, and its standard error for that number of answers."""

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class Losses:
    """Mean losses by name as a linear function of a window: 1, the mean answer and its mean square (values only, in
    units of `scale`), and the share of the rows in each group of bins.

    `group_of` says which group each count of a profile belongs to, -1 for none; `slopes` (k, p) are those of the k
    losses and `squares` (k, p) those of their squares, `doubt` (k, p, p) the covariance of the slopes of each.
    """

    digest: str  # of the bins
    rows: int
    design: float
    scale: float | None
    names: tuple[str, ...]
    group_of: Counts
    slopes: Floats
    squares: Floats
    doubt: Floats

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, losses: Mapping[str, Floats], bins: Bins, *, said: Floats | None, groups: Any = None
    ) -> Losses | None:
        """Of n held-out rows with each loss (n,) and, of a regression, what was said (n,); `groups` are rows that
        belong together. None for fewer than 200 rows. Sources: ridge regression, Hoerl and Kennard (1970); a covariance
        that lets each row have a spread of its own, White (1980)."""
        if len(frame) < LEAST_ROWS:
            return None
        targets = np.column_stack([*losses.values()])
        group_of, chosen = _grouped(frame, bins, targets[:, 0])
        scale = None if said is None else float(np.sqrt(np.mean(np.square(said)))) or 1.0
        shares = np.zeros((len(frame), group_of.max() + 1))
        for slots in chosen:
            known = group_of[slots] >= 0
            shares[np.flatnonzero(known), group_of[slots[known]]] = 1
        rows = np.column_stack([*_of_answers(said, scale, len(frame)), shares])
        free = np.arange(rows.shape[1]) >= rows.shape[1] - shares.shape[1]
        solved = np.linalg.pinv(rows.T @ rows + np.diag(PENALTY * free)) @ rows.T
        slopes, squares = (solved @ targets).T, (solved @ np.square(targets)).T
        missed = targets - rows @ slopes.T
        some_used = len(frame) / max(1, len(frame) - rows.shape[1])
        doubt = np.stack([some_used * (solved * np.square(own)) @ solved.T for own in missed.T])
        design = 1.0 if groups is None else design_effect(missed[:, 0], groups)
        return cls(bins.digest, len(frame), design, scale, (*losses,), group_of, slopes, squares, doubt)

    def mean(self, counts: Counts, rows: int, answers: tuple[float, float] | None) -> dict[str, MeanLoss]:
        """The mean of each loss to expect of rows with these counts of a profile; `answers` are the mean answer and its
        mean square, of a regression. Nothing without rows."""
        if rows <= 0 or (self.scale is not None and answers is None):
            return {}
        known = self.group_of >= 0
        shares = np.bincount(self.group_of[known], weights=counts[known], minlength=self.group_of.max() + 1) / rows
        first, second = answers or (0.0, 0.0)
        of_answers = [] if self.scale is None else [first / self.scale, second / self.scale**2]
        window = np.concatenate([[1.0], of_answers, shares])
        values, squares = self.slopes @ window, self.squares @ window
        spread = np.maximum(squares - np.square(values), 0) / rows + (self.doubt @ window) @ window
        errors = np.sqrt(self.design * np.maximum(spread, 0))
        parts = zip(self.names, values.tolist(), errors.tolist(), strict=True)
        return {name: MeanLoss(value, error) for name, value, error in parts}

    def to_bytes(self) -> bytes:
        """Compact bytes without pickle."""
        header = {
            "digest": self.digest,
            "rows": self.rows,
            "design": self.design,
            "scale": self.scale,
            "names": list(self.names),
            "slopes": _short(self.slopes),
            "squares": _short(self.squares),
            "doubt": _short(self.doubt),
        }
        return codec.pack(header, self.group_of, magic=MAGIC)

    @classmethod
    def from_bytes(cls, data: bytes) -> Losses:
        """The reverse of `to_bytes`, to seven digits; ValueError for anything else."""
        said, group_of = codec.unpack(data, magic=MAGIC, what="losses")
        try:
            arrays = [np.array(said[name], dtype=np.float64) for name in ("slopes", "squares", "doubt")]
            about = str(said["digest"]), int(said["rows"]), float(said["design"])
            scale = None if said["scale"] is None else float(said["scale"])
            found = cls(*about, scale, tuple(said["names"]), group_of, *arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"losses must have a complete header but got {error!r}") from error
        p = (1 if scale is None else 3) + int(group_of.max(initial=-1)) + 1
        k = len(found.names)
        if (found.slopes.shape, found.squares.shape, found.doubt.shape) != ((k, p), (k, p), (k, p, p)):
            raise ValueError(f"losses must have {k} times {p} slopes but got {found.slopes.shape}")
        return found


def _of_answers(said: Floats | None, scale: float | None, rows: int) -> list[Floats]:
    if said is None or scale is None:
        return [np.ones(rows)]
    return [np.ones(rows), said / scale, np.square(said / scale)]


def _grouped(frame: pd.DataFrame, bins: Bins, loss: Floats) -> tuple[Counts, list[Counts]]:
    """The group of each count of a profile, -1 for none and for the largest group of a feature, which the others are
    compared with; and for each feature that has groups the place of each row among the counts."""
    found: list[tuple[float, str, Counts, Counts]] = []
    for name, feature in bins.features.items():
        cells = read_cells(name, frame.get(name), feature.kind, rows=len(frame))
        if cells.unreadable:
            continue
        slots = feature.places(cells.values)
        groups = _groups(feature, np.bincount(slots, minlength=feature.width))
        found.append((_explained(groups[slots], loss), name, groups, slots))
    group_of, places, count = np.full(bins.width, -1, dtype=np.int64), [], 0
    for gain, name, groups, slots in sorted(found, key=lambda each: -each[0])[:MAX_FEATURES]:
        sizes = np.bincount(groups[slots])
        kept = [group for group in np.flatnonzero(sizes) if group != sizes.argmax()]
        if gain <= 0 or not kept:
            continue
        numbers = np.full(groups.max() + 1, -1)
        numbers[kept] = count + np.arange(len(kept))
        group_of[bins.slices[name]] = numbers[groups]
        places.append(slots + bins.slices[name].start)
        count += len(kept)
    return group_of, places


def _groups(feature: FeatureBins, counts: Counts) -> Counts:
    """A group for each count: neighbouring bins of a number, the most common levels of a category; what is missing and
    what cannot be read are one."""
    if feature.kind == "number":
        middle = np.cumsum(counts[:-2]) - counts[:-2] / 2
        regular = np.minimum((GROUPS * middle / max(1, counts[:-2].sum())).astype(np.int64), GROUPS - 1)
        return np.append(regular, [GROUPS, GROUPS])
    ranked = np.argsort(-counts[:-2], kind="stable")
    regular = np.full(len(counts) - 2, GROUPS - 1)
    regular[ranked[: GROUPS - 1]] = np.arange(min(GROUPS - 1, len(ranked)))
    return np.append(regular, [GROUPS, GROUPS])


def _explained(groups: Counts, loss: Floats) -> float:
    """How much of the loss's variance the groups' means explain, beyond what chance would."""
    sizes = np.bincount(groups)
    means = np.bincount(groups, weights=loss) / np.maximum(sizes, 1)
    between = float(sizes @ np.square(means - loss.mean()))
    whole = float(np.square(loss - loss.mean()).sum())
    used = np.count_nonzero(sizes) - 1
    return between / whole - used / len(loss) if whole > 0 else 0.0


def _short(values: Floats) -> list[Any]:
    """As JSON, to seven digits."""
    found: list[Any] = np.vectorize(lambda value: float(f"{value:.7g}"), otypes=[float])(values).tolist()
    return found
