"""Reads of monitoring. What the actor may not see is answered like what does not exist."""

from monitoring.selectors.alerts import (
    ALL,
    alert_of,
    alerts,
    assignees,
    consequences,
    deliveries,
    has_open_alerts,
    open_alerts,
    open_count,
)
from monitoring.selectors.answers import first_answers
from monitoring.selectors.bases import Basis, bases, basis_of
from monitoring.selectors.batches import batch_of, batches, rejections_shown
from monitoring.selectors.inputs import production_inputs
from monitoring.selectors.reports import findings_before, report_of, reports
from monitoring.selectors.silences import is_silenced
from monitoring.selectors.windows import Point, Summed, series, window_sum

__all__ = [
    "ALL",
    "Basis",
    "Point",
    "Summed",
    "alert_of",
    "alerts",
    "assignees",
    "bases",
    "basis_of",
    "batch_of",
    "batches",
    "consequences",
    "deliveries",
    "findings_before",
    "first_answers",
    "has_open_alerts",
    "is_silenced",
    "open_alerts",
    "open_count",
    "production_inputs",
    "rejections_shown",
    "report_of",
    "reports",
    "series",
    "window_sum",
]
