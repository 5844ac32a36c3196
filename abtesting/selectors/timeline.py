"""How an experiment got to where it is: its comparisons as they stood at the end of each day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from django.utils import timezone

from abtesting.choices import Arm
from abtesting.models import Experiment
from abtesting.selectors.claims import day_of
from abtesting.selectors.compared import comparable, comparison, shape_of, success_metrics
from abtesting.selectors.stored import Arms, Row, empty, epochs_of, known_on, rows_of, summed
from abtesting.stats.comparison import Comparison, Unknown

MOST_DAYS = 120  # points to draw; of a longer experiment every second day, or third


class Timeline(NamedTuple):
    """Cumulative, at the end of each day in UTC. `labelled` are judged units of the arms, or pairs; `units` were met
    by then, whether or not they are followed up."""

    days: list[date]
    labelled_a: list[int]
    labelled_b: list[int]
    units_a: list[int]
    units_b: list[int]
    by_metric: dict[str, list[Comparison | Unknown]]


def timeline(experiment: Experiment) -> Timeline:
    """From the start to today, or to the end. Reads the sums once; its cost grows with the days, not with the rows."""
    epochs, shape = epochs_of(experiment), shape_of(experiment)
    rows = [row for row in rows_of(experiment, epochs) if not row.group]
    days = _days(experiment, rows)
    steps = _steps(experiment, rows, days)
    measures = success_metrics(experiment, shape)
    total = {epoch.pk: empty(shape) for epoch in epochs}
    found = Timeline(days, [], [], _met(rows, days, Arm.A), _met(rows, days, Arm.B), {own.name: [] for own in measures})
    for day in days:
        if day in steps:
            gains = summed(steps[day], epochs, shape)
            total = {pk: own.plus(gains[pk]) for pk, own in total.items()}
        parts = [total[epoch.pk] for epoch in comparable(experiment, epochs)]
        for measure in measures:
            held = found.by_metric[measure.name]
            unchanged = bool(held) and day not in steps
            held.append(held[-1] if unchanged else comparison(experiment, measure, parts))
        of_a, of_b = labelled(experiment, parts)
        found.labelled_a.append(of_a)
        found.labelled_b.append(of_b)
    return found


def labelled(experiment: Experiment, parts: Sequence[Arms]) -> tuple[int, int]:
    """Judged units of A and of B; the same number twice of pairs."""
    if experiment.is_paired:
        judged = sum(part.pairs.judged for part in parts)
        return judged, judged
    return sum(part.a.judged for part in parts), sum(part.b.judged for part in parts)


def _days(experiment: Experiment, rows: Sequence[Row]) -> list[date]:
    """Evenly spaced, the last one among them. Labels may be dated after the end that the sums know of."""
    first = min([day_of(experiment.started_at), *(row.day for row in rows)])
    last = max(first, day_of(experiment.ended_at or timezone.now()))
    length = (last - first).days + 1
    step = -(-length // MOST_DAYS)
    return [last - timedelta(days=back) for back in range(0, length, step)][::-1]


def _steps(experiment: Experiment, rows: Sequence[Row], days: Sequence[date]) -> Mapping[date, list[Row]]:
    """Day that is drawn -> rows that became part of the comparisons since the one before."""
    found: Mapping[date, list[Row]] = defaultdict(list)
    for row in rows:
        known = known_on(experiment, row)
        drawn = next((day for day in days if known is not None and known <= day), None)
        if drawn is not None:
            found[drawn].append(row)
    return found


def _met(rows: Sequence[Row], days: Sequence[date], arm: Arm) -> list[int]:
    own = [(row.day, row.units) for row in rows if row.arm == arm]
    return [sum(units for met, units in own if met <= day) for day in days]
