"""What a breakdown counts beside a tally, in which order: one row of whole numbers for all answers, and one for each
level of each slice."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from mlops_site.stats.bins import Counts
from mlops_site.stats.scored import Floats
from monitoring.stats.limbs import LIMBS
from monitoring.stats.shape import Shape

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


class Layout(NamedTuple):
    """Where each part lies in a row of counts."""

    parts: dict[str, slice]
    width: int

    @classmethod
    def of(cls, widths: dict[str, int]) -> Layout:
        ends = np.cumsum(list(widths.values())).tolist()
        parts = {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}
        return cls(parts, int(ends[-1]))


@cache
def layout_of_all(task_type: str) -> Layout:
    """Of all answers of a version."""
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
    return Layout.of(widths)


def layout_of_level(shape: Shape) -> Layout:
    """Of the answers in one level of a slice."""
    return _layout_of_level(shape.task_type, shape.is_binary)


@cache
def _layout_of_level(task_type: str, is_binary: bool) -> Layout:
    widths = {"totals": len(TOTALS), "decisions": len(DECISIONS)}
    if task_type == "regression":
        widths["pairs"] = 1 + LIMBS * len(PAIRS)
    elif is_binary:
        widths |= {"confusion": 4, "gaps": 1 + 2 * LIMBS, "scores": 2 * SLICE_BINS}
    return Layout.of(widths)


def value_bins(values: Floats) -> Counts:
    """The bin of each finite value: 16 to a factor of two, by the first bits of the float, so no machine differs. The
    bins rise with the values; what is below 0.001 in size shares the one of nought.

    >>> value_bins(np.array([-1.0, 0.0, 1.0, 1.05, 1.07])).tolist()
    [639, 800, 961, 961, 962]
    """
    mantissa, exponent = np.frexp(np.abs(values))
    place = (exponent - 1 - LOWEST) * STEPS + np.floor((mantissa - 0.5) * 2 * STEPS).astype(np.int64)
    place = np.where(np.abs(values) < 2.0**LOWEST, -1, np.minimum(place, SIDE - 1))
    found = np.where(values < 0, SIDE - 1 - place, SIDE + 1 + place)
    return np.where(place < 0, SIDE, found).astype(np.int64)
