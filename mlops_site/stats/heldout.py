"""What a version's held-out rows say of its scores: the few counts from which performance can be estimated later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy  # loads its parts at their first use

from mlops_site.stats import codec
from mlops_site.stats.bins import Counts
from mlops_site.stats.scored import Floats

SCORE_BINS = 200  # equal ones of a probability
LEAST_ROWS, LEAST_OF_A_CLASS = 100, 10  # that a calibration takes
MOST_ROWS = 50_000  # that decide whether to calibrate
MAGIC = b"SHO1"


def score_bins(score: Floats) -> Counts:
    """The bin of each score between 0 and 1, shape (n,).

    >>> score_bins(np.array([0.0, 0.0049, 0.5, 1.0])).tolist()
    [0, 0, 100, 199]
    """
    return np.minimum((score * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)


class Calibration(NamedTuple):
    """P(positive) in each cell of the score, shape (201,), and what it rests on: the cells of one of the `blocks`,
    (201,), share its `rows`, (b,), a share `block_chance`, (b,), of them positive. Cells from `first` on are decided to
    be positive; `share_above` of the rows in the threshold's bin are."""

    chance: Floats
    blocks: Counts
    rows: Floats
    block_chance: Floats
    first: int
    share_above: float
    design: float


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out rows of two classes, counted in cells of the score by what was true: `negative` and `positive`, (201,).

    The cells are the 200 bins, the one that holds the threshold cut in two: below it, and at or above it. `design` is
    how many times the variance of a sum over rows is that over independent ones: several claims of one person, say.
    """

    threshold: float
    negative: Counts
    positive: Counts
    design: float = 1.0
    is_helped: bool = True  # calibrated scores of rows left out were nearer to the truth than the scores themselves

    @classmethod
    def of(cls, score: Any, is_positive: Any, threshold: float, *, groups: Any = None) -> HeldOut:
        """Of n scores, whether each row truly was positive, and which rows belong together, each of shape (n,).

        Raises ValueError for unequal lengths and for scores that are no probabilities.
        """
        given, truth = np.asarray(score, dtype=np.float64), np.asarray(is_positive, dtype=bool)
        if given.shape != truth.shape or not ((given >= 0) & (given <= 1)).all():
            raise ValueError(f"score must be {len(truth)} numbers between 0 and 1 but got {given.shape} of them")
        cells = score_bins(given) + (given >= threshold)
        counts = [np.bincount(cells[truth == side], minlength=SCORE_BINS + 1) for side in (False, True)]
        found = cls(float(threshold), counts[0], counts[1])
        if found.why_not:
            return found
        found = replace(found, is_helped=calibrating_helps(given, truth))
        if groups is None:
            return found
        return replace(found, design=design_effect(truth - found.calibration().chance[cells], groups))

    @property
    def rows(self) -> Counts:
        return self.negative + self.positive

    @property
    def first(self) -> int:
        """The first cell at or above the threshold."""
        return int(score_bins(np.array([np.clip(self.threshold, 0.0, 1.0)]))[0]) + 1

    @property
    def why_not(self) -> str:
        """Why nothing can be estimated from these rows; empty where it can."""
        sides = int(self.negative.sum()), int(self.positive.sum())
        if sum(sides) >= LEAST_ROWS and min(sides) >= LEAST_OF_A_CLASS:
            return ""
        return (
            f"a calibration takes {LEAST_ROWS} held-out rows and {LEAST_OF_A_CLASS} of each class, but there are "
            f"{sum(sides):,}, {sides[1]:,} of them positive"
        )

    def calibration(self) -> Calibration:
        """Isotonic regression of the truth on the cells; one without held-out rows lies between its neighbours. Where
        that does not help, the scores themselves."""
        known, middle = np.flatnonzero(self.rows), self._middles()
        rows, positive = self.rows[known], self.positive[known]
        fitted = scipy.optimize.isotonic_regression(positive / rows, weights=rows)
        starts = np.asarray(fitted.blocks)[:-1]
        of_known = np.searchsorted(starts, np.arange(len(known)), side="right") - 1
        nearest = np.abs(middle[:, None] - middle[known][None, :]).argmin(axis=1)
        in_block = np.add.reduceat(rows, starts).astype(np.float64)
        around = int(self.rows[self.first - 1] + self.rows[self.first])
        above = self.rows[self.first] / around if around else self.first - self.threshold * SCORE_BINS
        return Calibration(
            chance=np.interp(middle, middle[known], np.asarray(fitted.x)) if self.is_helped else middle,
            blocks=of_known[nearest],
            rows=in_block,
            block_chance=(np.add.reduceat(positive, starts) + 0.5) / (in_block + 1),  # never quite certain
            first=self.first,
            share_above=float(np.clip(above, 0.0, 1.0)),
            design=self.design,
        )

    def _middles(self) -> Floats:
        """The middle score of each cell."""
        edges = np.append(np.arange(SCORE_BINS + 1) / SCORE_BINS, np.clip(self.threshold, 0.0, 1.0))
        return np.convolve(np.sort(edges), [0.5, 0.5], mode="valid")

    def to_bytes(self) -> bytes:
        """Compact bytes without pickle."""
        header = {"threshold": self.threshold, "design": self.design, "is_helped": self.is_helped}
        return codec.pack(header, np.concatenate([self.negative, self.positive]), magic=MAGIC)

    @classmethod
    def from_bytes(cls, data: bytes) -> HeldOut:
        """The reverse of `to_bytes`; ValueError for anything else."""
        header, counts = codec.unpack(data, magic=MAGIC, what="held-out scores")
        try:
            threshold, design, is_helped = (
                float(header["threshold"]),
                float(header["design"]),
                bool(header["is_helped"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"held-out scores must have a threshold and a design but got {error!r}") from error
        if len(counts) != 2 * (SCORE_BINS + 1) or counts.min() < 0 or not design >= 1:
            raise ValueError(f"held-out scores must be {2 * (SCORE_BINS + 1)} counts but got {len(counts)}")
        negative, positive = np.split(counts, 2)
        return cls(threshold, negative, positive, design, is_helped)


def calibrating_helps(score: Floats, is_positive: Any) -> bool:
    """Whether isotonic regression lessens the expected calibration error, in tenths left out ten times over; decided
    as NannyML decides it, on at most 50,000 rows."""
    from sklearn.isotonic import IsotonicRegression  # not needed by who reads what is kept
    from sklearn.model_selection import StratifiedShuffleSplit

    truth = np.asarray(is_positive, dtype=np.int64)
    if len(score) > MOST_ROWS:
        chosen = np.random.default_rng(0).choice(len(score), MOST_ROWS, replace=False)
        score, truth = score[chosen], truth[chosen]
    sides: list[list[Any]] = [[], [], []]
    for learning, left_out in StratifiedShuffleSplit(n_splits=10, test_size=0.1, random_state=42).split(score, truth):
        fitted = IsotonicRegression(out_of_bounds="clip").fit(score[learning], truth[learning])
        parts = truth[left_out], score[left_out], fitted.predict(score[left_out])
        for side, part in zip(sides, parts, strict=True):
            side.append(part)
    came, raw, calibrated = map(np.concatenate, sides)
    return calibration_error(came, raw) > calibration_error(came, calibrated)


def calibration_error(truth: Any, chance: Floats) -> float:
    """The mean distance between what came and what was said, in ten parts of equal size ordered by what was said.

    >>> round(calibration_error(np.repeat([0, 1], 10), np.repeat([0.1, 0.8], 10)), 9)
    0.15
    """
    order = np.argsort(chance)
    parts = np.array_split(order, 10)
    gaps = [abs(float(truth[part].mean() - chance[part].mean())) * len(part) for part in parts]
    return sum(gaps) / len(order)


def design_effect(missed: Floats, groups: Any) -> float:
    """The design effect of the groups on sums of these misses, at least 1. Source: Kish (1965), Survey Sampling."""
    alone = float(missed @ missed)
    together = pd.Series(missed).groupby(np.asarray(groups), dropna=False).sum().to_numpy()
    return max(1.0, float(together @ together) / alone) if alone > 0 else 1.0
