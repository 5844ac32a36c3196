"""Rows of sums: made, locked in one order, and added to. Only under the lock of their experiment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from abtesting.choices import Arm
from abtesting.models import ArmSums
from abtesting.selectors.claims import Change, Key, read_sum
from monitoring.stats.shape import Shape

_KEY = Key._fields


def add(changes: Mapping[Key, Change], shapes: Mapping[int, Shape]) -> None:
    """Add changes to the rows of their cohorts, which are made where they are missing; `shapes` are by epoch."""
    if not changes:
        return
    rows = _locked(changes)
    for key, row in rows.items():
        change = changes[key]
        row.units += change.units
        if key.arm != Arm.STRAY and (change.gained or change.lost):
            shape = shapes[key.epoch_id]
            had = read_sum(key.arm, bytes(row.tally), shape)
            row.tally = (had + change.tally(key.arm, shape)).to_bytes()  # type: ignore[operator]
    ArmSums.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["epoch", *_KEY[1:]],
        update_fields=["units", "tally"],
    )


def _locked(keys: Iterable[Key]) -> dict[Key, ArmSums]:
    wanted = sorted(keys)
    # The keys of a year's labels are few in the square of days and delays: its tallies are not read.
    near = ArmSums.objects.filter(
        epoch__in={key.epoch_id for key in wanted},
        day__in={key.day for key in wanted},
        days_later__in={key.days_later for key in wanted},
    )
    pks = {Key(*fields): pk for pk, *fields in near.values_list("pk", *_KEY)}
    made = ArmSums.objects.bulk_create([ArmSums(**key._asdict()) for key in wanted if key not in pks])
    ids = [row.pk for row in made] + [pks[key] for key in wanted if key in pks]
    rows = ArmSums.objects.select_for_update().filter(pk__in=ids).order_by(*_KEY)
    found = {Key(*(getattr(row, name) for name in _KEY)): row for row in rows}
    # New objects: with an id, the row would be in conflict with itself by that and not by its key.
    return {key: ArmSums(**key._asdict(), units=found[key].units, tally=found[key].tally) for key in wanted}
