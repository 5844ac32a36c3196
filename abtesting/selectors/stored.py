"""The stored sums of an experiment, added up by epoch and arm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple

from abtesting.choices import Arm
from abtesting.models import ArmSums, Epoch, Experiment
from abtesting.stats.cohorts import is_followed_up
from abtesting.stats.pairs import PairTally
from abtesting.stats.tally import ArmTally
from monitoring.stats.shape import Shape


class Row(NamedTuple):
    """A cohort as it is stored."""

    epoch_id: int
    arm: str
    group: str
    day: date
    days_later: int
    units: int
    tally: bytes


class Arms(NamedTuple):
    """What one epoch has; pairs are empty but in a shadow test."""

    a: ArmTally
    b: ArmTally
    pairs: PairTally

    def plus(self, other: Arms) -> Arms:
        return Arms(self.a + other.a, self.b + other.b, self.pairs + other.pairs)


def empty(shape: Shape) -> Arms:
    return Arms(ArmTally.empty(shape), ArmTally.empty(shape), PairTally.empty(shape))


def epochs_of(experiment: Experiment) -> list[Epoch]:
    """In their order."""
    return list(Epoch.objects.filter(experiment=experiment).order_by("number"))


def rows_of(experiment: Experiment, epochs: Iterable[Epoch]) -> list[Row]:
    """Of all units; of the groups too where the experiment compares groups. One query."""
    rows = ArmSums.objects.filter(epoch__in=[epoch.pk for epoch in epochs])
    if not experiment.group_by:
        rows = rows.filter(group="")
    return [Row(*fields) for fields in rows.values_list("epoch_id", *Row._fields[1:])]


def judged_rows(experiment: Experiment, rows: Iterable[Row], today: date) -> list[Row]:
    """Those that a comparison rests on: at equal follow-up, or all that is known."""
    days = experiment.follow_up_days
    if days is None:
        return list(rows)
    return [row for row in rows if is_followed_up(row.day, row.days_later, days=days, today=today)]


def known_on(experiment: Experiment, row: Row) -> date | None:
    """The day at whose end a row is part of the comparisons; None for never."""
    days = experiment.follow_up_days
    if days is None:
        return row.day + timedelta(days=row.days_later)
    return row.day + timedelta(days=days) if row.days_later <= days else None


def summed(rows: Iterable[Row], epochs: Iterable[Epoch], shape: Shape, *, group: str = "") -> dict[int, Arms]:
    """Epoch id -> what its arms have in one group."""
    parts: Mapping[tuple[int, str], list[bytes]] = defaultdict(list)
    for row in rows:
        if row.group == group:
            parts[row.epoch_id, row.arm].append(bytes(row.tally))
    return {
        epoch.pk: Arms(
            ArmTally.sum_of_bytes(parts[epoch.pk, Arm.A], shape),
            ArmTally.sum_of_bytes(parts[epoch.pk, Arm.B], shape),
            PairTally.sum_of_bytes(parts[epoch.pk, Arm.PAIRS], shape),
        )
        for epoch in epochs
    }


def units_of(rows: Iterable[Row]) -> dict[tuple[int, str], int]:
    """By epoch id and arm; of strays, answers."""
    found: dict[tuple[int, str], int] = defaultdict(int)
    for row in rows:
        if not row.group:
            found[row.epoch_id, row.arm] += row.units
    return found
