"""What a breakdown counts beside a tally, in which order: one row of whole numbers for all answers, and one for each
level of each slice."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.scored import Floats
from monitoring.stats.limbs import LIMBS
from monitoring.stats.shape import LATENCY_EDGES, Shape

ERROR_CODES = 20  # of a version are told apart; later ones are counted together
DECISIONS = ("reviewed", "overridden", "raised", "lowered", "human_right", "model_right")
TOTALS = ("rows", "errors", "labelled", "judged", "hits", "answered", "selected")
PAIRS = ("said", "true", "said2", "true2", "product", "absolute")
SLICE_BINS = 20  # of the scores in a slice
# Whole seconds, 10 to a factor of ten, from a second to three years: the same on any machine.
LAG_EDGES: Counts = np.array(sorted({round(10 ** (step / 10)) for step in range(81)}), dtype=np.int64)
LAGS = len(LAG_EDGES) + 1

STEPS = 16  # bins of values to a factor of two
LOWEST, HIGHEST = -10, 40  # powers of two between which values have bins; smaller ones are nought
SIDE = (HIGHEST - LOWEST) * STEPS
VALUES = 2 * SIDE + 1
BY_PREDICTION = 1 + 2 * LIMBS  # rows, true values, their squares
BY_LABEL = 1 + LIMBS  # rows, true values
FINE = 64  # bins of answered values to a factor of two: each is drawn, so they are narrower than those of Gini
ANSWERED_CLASSES = 1_000  # of a version with more, answers are not counted by class
LEVEL_EDGES: Counts = LATENCY_EDGES[::2]  # of the latencies in a level: 10 to a factor of ten


class Layout(NamedTuple):
    """Where each part lies in a row of counts."""

    parts: dict[str, slice]
    width: int

    @classmethod
    def of(cls, widths: dict[str, int]) -> Layout:
        ends = np.cumsum(list(widths.values())).tolist()
        parts = {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}
        return cls(parts, int(ends[-1]))


def layout_of_all(shape: Shape) -> Layout:
    """Of all answers of a version. New parts are added at the end: what was stored before them is still read."""
    kept = len(shape.classes) if len(shape.classes) <= ANSWERED_CLASSES else 0
    return _layout_of_all(shape.task_type, kept)


@cache
def _layout_of_all(task_type: str, classes: int) -> Layout:
    widths = {
        "errors": ERROR_CODES + 1,
        "observed_lag": LAGS,
        "received_lag": LAGS,
        "decisions": len(DECISIONS),
    }
    if task_type == "regression":
        widths |= {
            "pairs": 1 + LIMBS * len(PAIRS),
            "by_prediction": VALUES * BY_PREDICTION,
            "by_label": VALUES * BY_LABEL,
        }
    widths["answered"] = 2 * (HIGHEST - LOWEST) * FINE + 1 if task_type == "regression" else classes
    return Layout.of(widths)


def layout_of_level(shape: Shape) -> Layout:
    """Of the answers in one level of a slice; likewise."""
    return _layout_of_level(shape.task_type, shape.is_binary)


@cache
def _layout_of_level(task_type: str, is_binary: bool) -> Layout:
    widths = {"totals": len(TOTALS), "decisions": len(DECISIONS)}
    if task_type == "regression":
        widths["pairs"] = 1 + LIMBS * len(PAIRS)
    elif is_binary:
        widths |= {"confusion": 4, "gaps": 1 + 2 * LIMBS, "scores": 2 * SLICE_BINS}
    widths["latency"] = len(LEVEL_EDGES) + 1
    return Layout.of(widths)


def first_widths(shape: Shape) -> tuple[int, int]:
    """Of both layouts, as they were when breakdowns did not say theirs."""
    return layout_of_all(shape).parts["answered"].start, layout_of_level(shape).parts["latency"].start


def value_bins(values: Floats, steps: int = STEPS) -> Counts:
    """The bin of each finite value: 16 (`steps`) to a factor of two, by the first bits of the float, so no machine
    differs. The bins rise with the values; what is below 0.001 in size shares the one of nought.

    >>> value_bins(np.array([-1.0, 0.0, 1.0, 1.05, 1.07])).tolist()
    [639, 800, 961, 961, 962]
    """
    side = (HIGHEST - LOWEST) * steps
    mantissa, exponent = np.frexp(np.abs(values))
    place = (exponent - 1 - LOWEST) * steps + np.floor((mantissa - 0.5) * 2 * steps).astype(np.int64)
    place = np.where(np.abs(values) < 2.0**LOWEST, -1, np.minimum(place, side - 1))
    found = np.where(values < 0, side - 1 - place, side + 1 + place)
    return np.where(place < 0, side, found).astype(np.int64)


@cache
def value_edges(steps: int = STEPS) -> Floats:
    """The edges of those bins, one more than bins: bin i is from edge i to edge i + 1.

    >>> edges = value_edges()
    >>> edges[961:963].tolist(), edges[800:802].tolist()
    ([1.0, 1.0625], [-0.0009765625, 0.0009765625])
    """
    powers = np.arange(LOWEST, HIGHEST, dtype=np.float64)[:, None]
    above = (np.exp2(powers) * (1 + np.arange(steps) / steps)).ravel()
    ends = np.append(above, 2.0**HIGHEST)
    found: Floats = np.concatenate([-ends[::-1], ends])
    return found
