"""Which experiment, epoch and arm an answer belongs to: the same for the answer, for each of its labels, and for
whoever counts again from the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from abtesting.choices import Arm
from abtesting.models import Epoch, Experiment
from abtesting.stats.assignment import Split, assign
from monitoring.choices import Source
from monitoring.signals import Answer

ARM_FAILED = "arm_failed"  # error code of an answer of arm B that A gave, because B could not


class Place(NamedTuple):
    """Where an answer counts. `arm` is a stray's where the version is not that of the arm that the unit was dealt to;
    `answered_by` is the arm whose version answered, "" for any other version."""

    epoch: Epoch
    arm: str
    answered_by: str
    unit: str

    @property
    def experiment(self) -> Experiment:
        return self.epoch.experiment


class Places:
    """The epochs of some experiments, read when they are made: where rows may be added, lock the experiments first."""

    def __init__(self, experiments: Collection[Experiment]) -> None:
        by_pk = {experiment.pk: experiment for experiment in experiments}
        self.epochs: dict[int, Epoch] = {}
        self._open: dict[int, list[tuple[Epoch, Split]]] = defaultdict(list)
        for epoch in Epoch.objects.filter(experiment__in=by_pk).order_by("experiment", "number"):
            epoch.experiment = experiment = by_pk[epoch.experiment_id]
            self.epochs[epoch.pk] = epoch
            if not experiment.is_paired:  # claims of a shadow test are those that `predict` has queued
                self._open[experiment.model_id].append((epoch, epoch.split(experiment)))

    def of(self, answer: Answer) -> Place | None:
        """None for what takes part in none of the experiments: the held out among them."""
        unit = unit_of(answer)
        if answer.epoch is not None:
            epoch = self.epochs.get(answer.epoch)
            return _placed(epoch, answer.arm, unit, answer) if epoch is not None else None
        if answer.source != Source.LOGGED:
            return None
        at = attributed_at(answer)
        for epoch, split in self._open.get(answer.model_id, ()):
            if epoch.started_at <= at and (epoch.ended_at is None or at < epoch.ended_at):
                return _placed(epoch, assign(split, unit), unit, answer)
        return None


def unit_of(answer: Answer) -> str:
    """Who is dealt to an arm: a claim that names no unit is one by itself."""
    return answer.unit_id or answer.request_id


def attributed_at(answer: Answer) -> datetime:
    """The time whose split counts. A caller's clock may be ahead: what is said to happen after it was received would
    change its epoch with the next split, when its answer has been counted and its label has not."""
    return min(answer.predicted_at, answer.received_at)


def versions_of(experiment: Experiment) -> dict[int, str]:
    """Version id -> arm."""
    return {experiment.version_a_id: Arm.A.value, experiment.version_b_id: Arm.B.value}


def other_arm(arm: str) -> str:
    return Arm.B.value if arm == Arm.A else Arm.A.value


def _placed(epoch: Epoch, arm: str, unit: str, answer: Answer) -> Place | None:
    if arm not in (Arm.A, Arm.B):
        return None
    if arm == Arm.B and answer.error_code == ARM_FAILED:
        return Place(epoch, arm, arm, unit)  # A's version answered in its place
    by = versions_of(epoch.experiment).get(answer.version_id, "")
    return Place(epoch, arm if by == arm else Arm.STRAY.value, by, unit)


def by_epoch(places: Iterable[Place]) -> dict[int, list[Place]]:
    """Epoch id -> its places."""
    found: dict[int, list[Place]] = defaultdict(list)
    for place in places:
        found[place.epoch.pk].append(place)
    return found
