"""Outcomes of experiments, added to their sums in the transactions that make them known.

Locks: the folder holds buckets; then come shadow rows, which the scorer holds when it comes here, then experiments,
then sums, each in the order of keys. What to add depends on the shadow rows, so they cannot come last. An experiment
that has ended is not found under its lock, and takes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db.models.functions import Least

from abtesting.choices import Arm, Design, ShadowState, Status
from abtesting.models import Epoch, Experiment, ShadowAnswer, Unit
from abtesting.selectors.attribution import Place, Places, other_arm, versions_of
from abtesting.selectors.claims import Counting, Spot, Step, said_by, said_silently
from abtesting.selectors.groups import Groups
from abtesting.services import cohorts
from monitoring.choices import Source
from monitoring.models import Prediction
from monitoring.selectors import bases
from monitoring.signals import Answer, Folded
from monitoring.stats.shape import Shape


class _Taken(NamedTuple):
    """A folded item that belongs to a running experiment."""

    item: Folded
    place: Place


def count_folded(folded: Sequence[Folded]) -> None:
    """Add what the folder has folded to the running experiments that it belongs to. In the folder's transaction."""
    models = {each.answer.model_id for each in folded}
    running = Epoch.objects.filter(experiment__status=Status.RUNNING, experiment__model__in=models)
    columns = running.values_list("pk", "experiment__design", "experiment")
    designs = {pk: (design, own) for pk, design, own in columns}
    if not designs:
        return
    paired = {pk for pk, (design, _) in designs.items() if design == Design.SHADOW}
    shadows = _locked_shadows({each.answer.id for each in folded if each.answer.epoch in paired})
    experiments = _locked_experiments({own for _, own in designs.values()})
    places = Places(experiments)
    taken = [_Taken(each, place) for each in folded if (place := places.of(each.answer)) is not None]
    if not taken:
        return
    counting = Counting()
    groups = Groups((each.item.answer.id, each.place.experiment) for each in taken)
    spots = {each.item.answer.id: _spot(each.item.answer, each.place.epoch, groups) for each in taken}
    for each in taken:
        _count(counting, each, spots[each.item.answer.id], shadows.get(each.item.answer.id))
    _count_units(counting, [each for each in taken if each.item.is_new], spots)
    _write(counting, places, groups)
    _keep_shadows(shadows, taken)


def count_scored(rows: Sequence[ShadowAnswer]) -> None:
    """Add what B has said, or failed on, of claims that the sums hold already. The rows are locked, have B's answer,
    and were not counted with it before; in the transaction that writes them."""
    counted = [row for row in rows if row.state != ShadowState.QUEUED and (row.is_counted or row.labels)]
    if not counted:
        return
    owners = Experiment.objects.filter(epochs__in={row.epoch_id for row in counted}, status=Status.RUNNING)
    places = Places(_locked_experiments(set(owners.values_list("pk", flat=True))))
    ours = {row.pk: row for row in counted if row.epoch_id in places.epochs}
    if not ours:
        return
    counting = Counting()
    groups = Groups((pk, places.epochs[row.epoch_id].experiment) for pk, row in ours.items())
    for columns in Prediction.objects.filter(pk__in=ours).values_list(*Answer._fields):
        answer = Answer(*columns)
        row = ours[answer.id]
        a, b, spot = said_by(answer), said_silently(row), _spot(answer, places.epochs[row.epoch_id], groups)
        assert b is not None
        if row.is_counted:
            counting.scored(spot, a, b)
        for fields in row.labels or ():
            counting.compared(spot, a, b, Step.of_json(fields))
    _write(counting, places, groups)


def _count(counting: Counting, taken: _Taken, spot: Spot, shadow: ShadowAnswer | None) -> None:
    item, place = taken
    if place.arm == Arm.STRAY:
        if item.is_new:
            counting.strayed(spot)
    elif not place.experiment.is_paired:
        said = said_by(item.answer)
        if item.after is None:
            counting.answered(spot, place.arm, said)
        else:
            counting.labelled(spot, place.arm, said, Step.of(item.answer, item.before, item.after))
    elif shadow is not None:
        _count_shadowed(counting, item, spot, shadow)


def _count_shadowed(counting: Counting, item: Folded, spot: Spot, row: ShadowAnswer) -> None:
    a, b = said_by(item.answer), said_silently(row)
    if item.after is None:
        row.is_counted = True
        counting.shadowed(spot, a)
        if b is not None:
            counting.scored(spot, a, b)
        return
    step = Step.of(item.answer, item.before, item.after)
    row.labels = [*(row.labels or ()), step]
    counting.labelled(spot, Arm.A, a, step)
    if b is not None:
        counting.compared(spot, a, b, step)


def _count_units(counting: Counting, answered: Sequence[_Taken], spots: dict[UUID, Spot]) -> None:
    """Units met in their epoch for the first time; a flag for those that the other arm's version has answered too."""
    within = {each.place.epoch.pk: each.place.epoch for each in answered}
    units = {each.place.unit for each in answered}
    rows = Unit.objects.filter(epoch__in=within, unit_id__in=units)
    known: dict[tuple[int, str], Unit] = {(row.epoch_id, row.unit_id): row for row in rows}
    fresh: list[Unit] = []
    seen: dict[tuple[int, str], set[str]] = defaultdict(set)  # epoch, arm that answered -> units
    for item, place in answered:
        seen[place.epoch.pk, place.answered_by].add(place.unit)
        if place.arm == Arm.STRAY or (place.epoch.pk, place.unit) in known:
            continue
        fresh.append(Unit(epoch=place.epoch, unit_id=place.unit, arm=place.arm))
        known[place.epoch.pk, place.unit] = fresh[-1]
        counting.met(spots[item.answer.id], *((Arm.A, Arm.B) if place.experiment.is_paired else (place.arm,)))
    Unit.objects.bulk_create(sorted(fresh, key=lambda row: (row.epoch_id, row.unit_id)), batch_size=1_000)
    for epoch in within.values():
        own = {row.unit_id: row.arm for row in fresh if row.epoch_id == epoch.pk}
        for arm, strays in _strays_before(epoch, own).items():
            seen[epoch.pk, arm] |= strays
        for arm in (Arm.A, Arm.B):
            both = Unit.objects.filter(epoch=epoch, arm=other_arm(arm), unit_id__in=seen[epoch.pk, arm], in_both=False)
            if seen[epoch.pk, arm]:
                both.update(in_both=True)


def _strays_before(epoch: Epoch, fresh: dict[str, str]) -> dict[str, set[str]]:
    """Arm -> units, of those just met, that its version answered although they were dealt to the other one: a caller
    who logs may have done so before. Where `predict` answers, it cannot happen."""
    found: dict[str, set[str]] = defaultdict(set)
    experiment = epoch.experiment
    if experiment.is_paired or not fresh:
        return found
    rows = Prediction.objects.filter(model=experiment.model_id, unit_id__in=fresh, source=Source.LOGGED, epoch=None)
    rows = rows.annotate(at=Least("predicted_at", "received_at")).filter(at__gte=epoch.started_at)
    if epoch.ended_at is not None:
        rows = rows.filter(at__lt=epoch.ended_at)
    arms = versions_of(experiment)
    for unit, version in rows.filter(version__in=arms).values_list("unit_id", "version").distinct():
        if arms[version] != fresh[unit]:
            found[arms[version]].add(unit)
    return found


def _write(counting: Counting, places: Places, groups: Groups) -> None:
    known = bases({epoch.experiment.version_a_id for epoch in places.epochs.values()})
    shapes: dict[int, Shape] = {pk: known[epoch.experiment.version_a_id].shape for pk, epoch in places.epochs.items()}
    cohorts.add(counting.by_key, shapes)
    Experiment.objects.bulk_update(groups.grown, ["groups"])


def _spot(answer: Answer, epoch: Epoch, groups: Groups) -> Spot:
    return Spot.of(epoch, groups.of(epoch.experiment, answer.id), answer)


def _locked_shadows(ids: Collection[UUID]) -> dict[UUID, ShadowAnswer]:
    rows = ShadowAnswer.objects.select_for_update().filter(pk__in=ids).order_by("pk") if ids else ()
    return {row.pk: row for row in rows}


def _keep_shadows(shadows: Mapping[UUID, ShadowAnswer], taken: Sequence[_Taken]) -> None:
    """What the sums hold of the rows now: `bulk_update` would take several times as long as all the counting."""
    answered = {each.item.answer.id for each in taken if each.item.is_new} & shadows.keys()
    labelled = {each.item.answer.id for each in taken if not each.item.is_new} & shadows.keys()
    if answered:
        ShadowAnswer.objects.filter(pk__in=answered).update(is_counted=True)
    ShadowAnswer.objects.bulk_create(
        [shadows[pk] for pk in sorted(labelled)],
        update_conflicts=True,
        unique_fields=["prediction_id"],
        update_fields=["labels"],
    )


def _locked_experiments(ids: Collection[int]) -> list[Experiment]:
    """Those of them that still run."""
    rows = Experiment.objects.select_for_update(no_key=True).filter(pk__in=ids, status=Status.RUNNING)
    return list(rows.order_by("pk"))
