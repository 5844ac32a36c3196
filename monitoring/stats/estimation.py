"""Performance before labels arrive: what scores (CBPE) or what was asked (DLE) lead one to expect, from sums alone.

CBPE: confidence-based performance estimation as NannyML publishes it (Białek et al. 2024, "Estimating model
performance under covariate shift without labels", arXiv:2401.08348): scores are calibrated by isotonic regression on
rows held out from training, each row is positive with that probability, and the metric of the expected counts is the
estimate. It holds under covariate shift; where the classes themselves change their meaning (concept drift) it does not,
which `trust.backtest` finds once labels come. DLE, direct loss estimation: a model of the loss itself, here an additive
one, learnt from held-out rows (`mlops_site.stats.losses`). It knows no more of concept drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.bins import Bins, Counts
from mlops_site.stats.heldout import SCORE_BINS, Calibration, HeldOut
from mlops_site.stats.losses import Losses, MeanLoss
from mlops_site.stats.profile import Profile
from mlops_site.stats.scored import Floats
from monitoring.stats.performance import Z
from monitoring.stats.tally import Shape, Tally

Value = tuple[float, NDArray[np.floating[Any]]]  # of a metric, and its slope by the positives of each cell


NEARLY_ALL = 0.9  # of the answers are labelled


class Estimate(NamedTuple):
    """A metric by its public spelling as `n` answers without labels lead one to expect. `ci95` is where the realised
    one lies 19 times in 20: `error` is its standard error, of the labels to come and of the calibration."""

    name: str
    value: float
    ci95: tuple[float, float]
    n: int
    error: float


class Estimator(Protocol):
    """What estimates a version's metrics from sums of its answers; `held_out` rows are what it learnt from."""

    @property
    def method(self) -> str: ...

    @property
    def held_out(self) -> int: ...

    @property
    def reads_profiles(self) -> bool: ...

    def of(self, tally: Tally, profile: Profile | None) -> list[Estimate]:
        """Of all answers; empty where there are none."""

    def of_labelled(self, tally: Tally, profile: Profile | None) -> list[Estimate]:
        """Of those whose label is known, as if it were not; empty where the sums do not tell them apart."""


@dataclass(frozen=True)
class Cbpe:
    """Confidence-based performance estimation, of two classes."""

    by: Calibration
    held_out: int
    method: str = "CBPE"
    reads_profiles: bool = False

    @classmethod
    def from_held_out(cls, held: HeldOut) -> Cbpe:
        return cls(held.calibration(), int(held.rows.sum()))

    def of(self, tally: Tally, profile: Profile | None) -> list[Estimate]:
        return expected(tally.scores[0], self.by)

    def of_labelled(self, tally: Tally, profile: Profile | None) -> list[Estimate]:
        return expected(tally.scores[1] + tally.scores[2], self.by)


@dataclass(frozen=True)
class Dle:
    """Direct loss estimation: MAE and RMSE of values, accuracy of more than two classes."""

    by: Losses
    method: str = "DLE"
    reads_profiles: bool = True

    @property
    def held_out(self) -> int:
        return self.by.rows

    def of(self, tally: Tally, profile: Profile | None) -> list[Estimate]:
        if profile is None:
            return []
        answers = _mean_answers(tally) if tally.shape.task_type == "regression" else None
        found = self.by.mean(profile.counts, profile.rows, answers)
        return [estimate for name, loss in found.items() if (estimate := _of_loss(name, loss, profile.rows))]

    def of_labelled(self, tally: Tally, profile: Profile | None) -> list[Estimate]:
        """Of all answers, once nearly all are labelled: a profile does not say which are."""
        return self.of(tally, profile) if (tally.coverage or 0.0) >= NEARLY_ALL else []


def _mean_answers(tally: Tally) -> tuple[float, float] | None:
    """The mean answered value and its mean square."""
    own = tally.moments["prediction"]
    return (float(own.total / own.count), float(own.squares / own.count)) if own.count > 0 else None


def _of_loss(name: str, loss: MeanLoss, n: int) -> Estimate | None:
    """The metric whose loss it is; None for a mean square that no error can have."""
    value, error = loss.value, loss.error
    if name == "accuracy":
        value = min(max(1 - value, 0.0), 1.0)
        return Estimate(name, value, (max(0.0, value - Z * error), min(1.0, value + Z * error)), n, error)
    if value <= 0:
        return None
    if name == "rmse":
        value, error = math.sqrt(value), error / (2 * math.sqrt(value))
    return Estimate(name, value, (max(0.0, value - Z * error), value + Z * error), n, error)


def estimator_of(held_out: bytes | None, shape: Shape, bins: Bins | None) -> tuple[Estimator | None, str]:
    """What estimates the metrics of answers of this shape by what a version keeps of its held-out rows, or why nothing
    can; `bins` are those of its profiles."""
    if held_out is None:
        kept = "scores" if shape.is_binary else "losses by what was asked"
        return None, f"not computable: the version was registered without {kept} of rows held out from training"
    try:
        return _cbpe(bytes(held_out)) if shape.is_binary else _dle(bytes(held_out), bins)
    except ValueError as error:
        return None, f"not computable: what the version keeps of its held-out rows cannot be read: {error}"


def _cbpe(data: bytes) -> tuple[Estimator | None, str]:
    held = HeldOut.from_bytes(data)
    return (None, f"not computable: {held.why_not}") if held.why_not else (Cbpe.from_held_out(held), "")


def _dle(data: bytes, bins: Bins | None) -> tuple[Estimator | None, str]:
    losses = Losses.from_bytes(data)
    if bins is None or bins.digest != losses.digest:
        return None, "not computable: the version's reference is not the one that its losses were learnt on"
    return Dle(losses), ""


def expected(scores: Counts, by: Calibration) -> list[Estimate]:
    """The metrics that answers with these scores, shape (200,), lead one to expect, in no particular order; one that
    would have no value is left out. Without answers there are none.

    `error` adds two parts by the delta method: the labels are drawn with the chance of their cell; and the chance of a
    block is itself a share of its held-out rows. Rows that belong together make both larger, by the design effect.
    """
    rows = in_cells(scores, by)
    if rows.sum() <= 0:
        return []
    found = []
    for name, (value, slope) in formulas(rows, rows * by.chance, by.first).items():
        labels = float(rows * by.chance * (1 - by.chance) @ np.square(slope))
        pulls = np.bincount(by.blocks, weights=rows * slope, minlength=len(by.rows))
        calibrating = float(np.square(pulls) @ (by.block_chance * (1 - by.block_chance) / by.rows))
        error = math.sqrt(by.design * (labels + calibrating))
        bounds = max(0.0, value - Z * error), min(1.0, value + Z * error)
        found.append(Estimate(name, value, bounds, round(float(rows.sum())), error))
    return found


def in_cells(scores: Counts, by: Calibration) -> Floats:
    """Rows of 200 bins in the 201 cells: those of the threshold's bin are parted as the held-out rows were."""
    cut = by.first - 1
    inside = float(scores[cut])
    parts = [inside * (1 - by.share_above), inside * by.share_above]
    return np.concatenate([scores[:cut], parts, scores[cut + 1 :]])


def formulas(rows: Floats, positive: Floats, first: int) -> dict[str, Value]:
    """Each metric of cells with `positive` of their `rows`, and its slope by the number of positives of each cell;
    cells from `first` on are decided to be positive. Both have shape (c,)."""
    n, actual = float(rows.sum()), float(positive.sum())
    said = np.arange(len(rows)) >= first
    called, hits = float(rows[said].sum()), float(positive[said].sum())
    right = hits + float((rows - positive)[~said].sum())
    found: dict[str, Value] = {"accuracy": (right / n, np.where(said, 1.0, -1.0) / n)}
    if called > 0:
        found["precision"] = hits / called, said / called
    if actual > 0:
        found["recall"] = hits / actual, (said - hits / actual) / actual
    if called + actual > 0:
        f1 = 2 * hits / (called + actual)
        found["f1_score"] = f1, (2.0 * said - f1) / (called + actual)
    if 0 < actual < n:
        found["roc_auc"] = _auc(rows, positive)
        found["average_precision"] = _average_precision(rows, positive)
    centres = (np.arange(len(rows)) + 0.5 - (np.arange(len(rows)) >= first)) / SCORE_BINS
    brier = float(positive @ np.square(1 - centres) + (rows - positive) @ np.square(centres)) / n
    return {**found, "brier": (brier, (1 - 2 * centres) / n)}


def _auc(rows: Floats, positive: Floats) -> Value:
    """Ties within a cell count half."""
    negative = rows - positive
    actual, others = positive.sum(), negative.sum()
    below = np.cumsum(negative) - 0.5 * negative
    above = actual - np.cumsum(positive) + 0.5 * positive
    value = float(positive @ below / (actual * others))
    return value, (below - above - value * (others - actual)) / (actual * others)


def _average_precision(rows: Floats, positive: Floats) -> Value:
    """The sum over cells of their share of the positives times the precision at or above them."""
    actual = positive.sum()
    at_least = np.cumsum(rows[::-1])[::-1]
    reached = np.divide(1.0, at_least, out=np.zeros(len(rows)), where=at_least > 0)
    precision = np.cumsum(positive[::-1])[::-1] * reached
    value = float(positive @ precision / actual)
    return value, (precision + np.cumsum(positive * reached) - value) / actual
