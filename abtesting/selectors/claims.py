"""What claims add to the sums of an experiment, cohort by cohort.

Each step of a claim is a difference that does not depend on the steps before it, as in monitoring.services.folding, so
the steps may come in any order. What B's silent answer adds is the difference that it makes to each step counted so
far, in the cohort of that step; what comes later is counted with it at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from abtesting.choices import Arm, ShadowState
from abtesting.models import Epoch, ShadowAnswer
from abtesting.selectors.attribution import ARM_FAILED, unit_of
from abtesting.stats.blocks import block_of
from abtesting.stats.pairs import PairTally
from abtesting.stats.tally import Answers, ArmTally, Shape
from monitoring.choices import PredictionStatus
from monitoring.signals import Answer, Known

Sum = ArmTally | PairTally
_NAN = float("nan")


class Key(NamedTuple):
    """One cohort: a row of ArmSums."""

    epoch_id: int
    arm: str
    group: str
    day: date
    days_later: int


class Said(NamedTuple):
    """What a version said of a claim."""

    prediction: Any
    score: float | None
    decision: Any
    is_error: bool
    latency_ms: float | None


NOTHING = Said(None, None, None, False, None)


class Revision(NamedTuple):
    """A label, and what a person decided."""

    label: Any = None
    human_decision: Any = None


class Step(NamedTuple):
    """A revision of a label: how many days after the answer it came, what was known before, what since."""

    days_later: int
    before: Revision
    after: Revision

    @classmethod
    def of(cls, answer: Answer, before: Known | None, after: Known) -> Step:
        later = max(0, (day_of(after.received_at) - day_of(answer.predicted_at)).days)
        return cls(later, Revision(*before[:2]) if before else Revision(), Revision(*after[:2]))

    @classmethod
    def of_json(cls, fields: Sequence[Any]) -> Step:
        """As ShadowAnswer.labels keeps it."""
        later, before, after = fields
        return cls(later, Revision(*before), Revision(*after))


class Claim(NamedTuple):
    """What is known of a claim at a step. Of pairs, `said` is A's and `silent` B's, None until it has scored it, and
    `block` that of its unit (see abtesting.stats.blocks)."""

    said: Said
    silent: Said | None = None
    known: Revision = Revision()
    block: int = 0


class Spot(NamedTuple):
    """What the cohorts of a claim have in common; the groups are "" and its own, if there are any. `follow_up` is the
    experiment's number of days, `first` the day on which its split began, `block` that of the claim's unit."""

    epoch_id: int
    groups: tuple[str, ...]
    day: date
    follow_up: int | None
    first: date
    block: int = 0

    @classmethod
    def of(cls, epoch: Epoch, groups: tuple[str, ...], answer: Answer) -> Spot:
        own = epoch.experiment
        block = block_of(own.salt, unit_of(answer)) if own.is_paired else 0
        return cls(epoch.pk, groups, day_of(answer.predicted_at), own.follow_up_days, day_of(epoch.started_at), block)

    def key(self, arm: str, group: str, days_later: int) -> Key:
        """The cohort of what became known so many days after the answer. Only cohorts that some reader tells apart are
        kept apart, so that there are few of them however many delays the labels have: with a follow-up, what was known
        within it and what came later; without, the day on which something became known. Nobody asks when something
        became known of a group."""
        if group:
            return Key(self.epoch_id, arm, group, self.first, 0)
        if self.follow_up is None:
            return Key(self.epoch_id, arm, group, self.day + timedelta(days=days_later), 0)
        return Key(self.epoch_id, arm, group, self.day, 0 if days_later <= self.follow_up else self.follow_up + 1)


@dataclass
class Change:
    """What one cohort gains and loses."""

    units: int = 0
    gained: list[Claim] = field(default_factory=list)
    lost: list[Claim] = field(default_factory=list)

    def tally(self, arm: str, shape: Shape) -> Sum:
        if arm == Arm.PAIRS:
            return _pairs(self.gained, shape) - _pairs(self.lost, shape)
        return _arm(self.gained, shape) - _arm(self.lost, shape)


class Counting:
    """Changes by cohort."""

    def __init__(self) -> None:
        self.by_key: dict[Key, Change] = defaultdict(Change)

    def answered(self, spot: Spot, arm: str, said: Said) -> None:
        self._add(spot, arm, 0, Claim(said), None)

    def labelled(self, spot: Spot, arm: str, said: Said, step: Step) -> None:
        self._add(spot, arm, step.days_later, Claim(said, None, step.after), Claim(said, None, step.before))

    def shadowed(self, spot: Spot, a: Said) -> None:
        """A has answered a claim that B is to score."""
        self.answered(spot, Arm.A, a)
        self._add(spot, Arm.PAIRS, 0, Claim(a), None)

    def scored(self, spot: Spot, a: Said, b: Said) -> None:
        """B has scored such a claim."""
        self.answered(spot, Arm.B, b)
        self._add(spot, Arm.PAIRS, 0, Claim(a, b), Claim(a))

    def compared(self, spot: Spot, a: Said, b: Said, step: Step) -> None:
        """A label of a claim that B has scored: without it, a label adds nothing to B and to the pairs."""
        self.labelled(spot, Arm.B, b, step)
        self._add(spot, Arm.PAIRS, step.days_later, Claim(a, b, step.after), Claim(a, b, step.before))

    def met(self, spot: Spot, *arms: str) -> None:
        """A unit that is new in its epoch."""
        for arm in arms:
            for group in spot.groups:
                self.by_key[spot.key(arm, group, 0)].units += 1

    def strayed(self, spot: Spot) -> None:
        self.by_key[spot.key(Arm.STRAY.value, "", 0)].units += 1

    def _add(self, spot: Spot, arm: str, days_later: int, gained: Claim, lost: Claim | None) -> None:
        if arm == Arm.PAIRS:
            gained = gained._replace(block=spot.block)
            lost = None if lost is None else lost._replace(block=spot.block)
        for group in spot.groups if arm != Arm.PAIRS else ("",):  # no guardrail asks for the pairs of a group
            change = self.by_key[spot.key(str(arm), group, days_later)]
            change.gained.append(gained)
            if lost is not None:
                change.lost.append(lost)


def said_by(answer: Answer) -> Said:
    """What an arm said; where B failed and A answered in its place, a failure."""
    if answer.error_code == ARM_FAILED:
        return Said(None, None, None, True, answer.latency_ms)
    failed = answer.status == PredictionStatus.ERROR
    return Said(answer.prediction, answer.score, answer.decision, failed, answer.latency_ms)


def said_silently(row: ShadowAnswer) -> Said | None:
    """What B said of a claim of a shadow test; None as long as it waits."""
    if row.state == ShadowState.QUEUED:
        return None
    if row.state == ShadowState.FAILED:
        return Said(None, None, None, True, row.latency_ms)
    return Said(row.prediction, row.score, row.decision, False, row.latency_ms)


def day_of(at: datetime) -> date:
    """The day in UTC."""
    return at.astimezone(UTC).date()


def empty_of(arm: str, shape: Shape) -> Sum:
    return PairTally.empty(shape) if arm == Arm.PAIRS else ArmTally.empty(shape)


def read_sum(arm: str, data: bytes, shape: Shape) -> Sum:
    return PairTally.from_bytes(data, shape) if arm == Arm.PAIRS else ArmTally.from_bytes(data, shape)


def _arm(claims: Sequence[Claim], shape: Shape) -> ArmTally:
    if not claims:
        return ArmTally.empty(shape)
    answers = _answers([claim.said for claim in claims], [claim.known.label for claim in claims])
    return ArmTally.of(answers, shape, human_decision=[claim.known.human_decision for claim in claims])


def _pairs(claims: Sequence[Claim], shape: Shape) -> PairTally:
    if not claims:
        return PairTally.empty(shape)
    labels = [claim.known.label for claim in claims]
    a, b = (_answers(said, labels) for said in zip(*[(c.said, c.silent or NOTHING) for c in claims], strict=True))
    scored, block = [claim.silent is not None for claim in claims], [claim.block for claim in claims]
    return PairTally.of(a, b, shape, scored=scored, block=block)


def _answers(said: Sequence[Said], labels: Sequence[Any]) -> Answers:
    return Answers(
        prediction=[each.prediction for each in said],
        score=[_NAN if each.score is None else each.score for each in said],
        decision=[each.decision for each in said],
        status_is_error=[each.is_error for each in said],
        latency_ms=[_NAN if each.latency_ms is None else each.latency_ms for each in said],
        label=labels,
    )
