"""Reads of monitoring. What the actor may not see is answered like what does not exist."""

from monitoring.selectors.answers import first_answers
from monitoring.selectors.bases import Basis, bases, basis_of
from monitoring.selectors.windows import Point, Summed, series, window_sum

__all__ = [
    "Basis",
    "Point",
    "Summed",
    "bases",
    "basis_of",
    "first_answers",
    "series",
    "window_sum",
]
