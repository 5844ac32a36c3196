"""Reads of monitoring. What the actor may not see is answered like what does not exist."""

from monitoring.selectors.alerts import ALL, alert_of, alerts, decisions, deliveries, open_count
from monitoring.selectors.answers import first_answers
from monitoring.selectors.bases import Basis, bases, basis_of
from monitoring.selectors.windows import Point, Summed, series, window_sum

__all__ = [
    "ALL",
    "Basis",
    "Point",
    "Summed",
    "alert_of",
    "alerts",
    "bases",
    "basis_of",
    "decisions",
    "deliveries",
    "first_answers",
    "open_count",
    "series",
    "window_sum",
]
