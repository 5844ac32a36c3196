"""The sums of an experiment as they are kept, and the same counted again from every row: they must be equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from django.db.models import Q

from abtesting.choices import Arm
from abtesting.models import ArmSums, Experiment, ShadowAnswer, Unit
from abtesting.selectors.attribution import Place, Places
from abtesting.selectors.claims import (
    Counting,
    Key,
    Spot,
    Step,
    Sum,
    empty_of,
    read_sum,
    said_by,
    said_silently,
)
from abtesting.selectors.groups import Groups
from monitoring.models import Label, Prediction
from monitoring.selectors import basis_of
from monitoring.signals import Answer, Known


class Sums(NamedTuple):
    """Tallies by cohort, empty ones left out; by epoch and arm the units, strays as answers; units seen in both. On
    which day a unit was met depends on what was folded first, so that only their number can be compared."""

    tallies: Mapping[Key, Sum]
    units: Mapping[tuple[int, str], int]
    in_both: Mapping[int, int]


def kept(experiment: Experiment) -> Sums:
    """As the tables hold them."""
    shape = basis_of(experiment.version_a).shape
    tallies: dict[Key, Sum] = {}
    units: dict[tuple[int, str], int] = defaultdict(int)
    for row in ArmSums.objects.filter(epoch__experiment=experiment):
        key = Key(row.epoch_id, row.arm, row.group, row.day, row.days_later)
        if key.arm != Arm.STRAY:
            tallies[key] = read_sum(key.arm, bytes(row.tally), shape)
        if not key.group and row.units:
            units[row.epoch_id, row.arm] += row.units
    flagged = Unit.objects.filter(epoch__experiment=experiment, in_both=True).values_list("epoch", flat=True)
    return Sums(_without_empty(tallies), dict(units), _counted(list(flagged)))


def recomputed(experiment: Experiment) -> Sums:
    """From predictions, labels and shadow answers, as far as they came before the end: what came while it was being
    concluded, and was not folded, is counted here alone. Reads every row of the model since the start."""
    places, shape = Places([experiment]), basis_of(experiment.version_a).shape
    until = Q() if experiment.ended_at is None else Q(received_at__lte=experiment.ended_at)
    rows = Prediction.objects.filter(
        Q(epoch__in=places.epochs) | Q(epoch=None, predicted_at__gte=experiment.started_at),
        until,
        model=experiment.model,
    )
    answers = [Answer(*columns) for columns in rows.values_list(*Answer._fields)]
    found = [(answer, place) for answer in answers if (place := places.of(answer)) is not None]
    steps = _steps(experiment, until, {answer.request_id: answer for answer, _ in found})
    shadows = {row.pk: row for row in ShadowAnswer.objects.filter(epoch__experiment=experiment)}
    groups = Groups((answer.id, experiment) for answer, _ in found)
    counting = Counting()
    for answer, place in found:
        spot = Spot.of(place.epoch, groups.of(experiment, answer.id), answer)
        if place.arm != Arm.STRAY:
            _count(counting, answer, place, spot, steps[answer.request_id], shadows.get(answer.id))
    tallies = {key: change.tally(key.arm, shape) for key, change in counting.by_key.items()}
    return Sums(_without_empty(tallies), *_units([place for _, place in found]))


def _count(
    counting: Counting, answer: Answer, place: Place, spot: Spot, steps: list[Step], shadow: ShadowAnswer | None
) -> None:
    said = said_by(answer)
    if shadow is None:
        counting.answered(spot, place.arm, said)
    else:
        counting.shadowed(spot, said)
    for step in steps:
        counting.labelled(spot, place.arm, said, step)
    if shadow is not None and (b := said_silently(shadow)) is not None:
        counting.scored(spot, said, b)
        for step in steps:
            counting.compared(spot, said, b, step)


def _steps(experiment: Experiment, until: Q, answers: Mapping[str, Answer]) -> Mapping[str, list[Step]]:
    """Request id -> what each revision of its label changed."""
    rows = Label.objects.filter(until, model=experiment.model).order_by("request_id", "revision")
    found: dict[str, list[Step]] = defaultdict(list)
    before: tuple[str, Known] | None = None
    for request, *columns in rows.values_list("request_id", *Known._fields):
        after = Known(*columns)
        if (answer := answers.get(request)) is not None:
            earlier = before[1] if before is not None and before[0] == request else None
            found[request].append(Step.of(answer, earlier, after))
        before = request, after
    return found


def _units(places: list[Place]) -> tuple[dict[tuple[int, str], int], dict[int, int]]:
    arms: dict[tuple[int, str], str] = {}
    seen: dict[tuple[int, str], set[str]] = defaultdict(set)
    found: dict[tuple[int, str], int] = defaultdict(int)
    for place in places:
        seen[place.epoch.pk, place.unit].add(place.answered_by)
        if place.arm == Arm.STRAY:
            found[place.epoch.pk, Arm.STRAY.value] += 1
        else:
            arms[place.epoch.pk, place.unit] = place.arm
    paired = bool(places) and places[0].experiment.is_paired
    for (epoch, _), arm in arms.items():
        for own in (Arm.A.value, Arm.B.value) if paired else (arm,):
            found[epoch, own] += 1
    both = [epoch for (epoch, unit) in arms if {Arm.A, Arm.B} <= seen[epoch, unit]]
    return dict(found), _counted(both)


def _counted(epochs: list[int]) -> dict[int, int]:
    return {epoch: epochs.count(epoch) for epoch in set(epochs)}


def _without_empty(tallies: Mapping[Key, Sum]) -> dict[Key, Sum]:
    return {key: tally for key, tally in tallies.items() if tally != empty_of(key.arm, tally.shape)}
