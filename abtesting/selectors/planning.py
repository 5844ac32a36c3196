"""What each design needs before it can tell two versions of a model apart, at the traffic that the model really has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from abtesting.selectors.baselines import Known, known_of, together_of
from abtesting.selectors.compared import decidable
from abtesting.selectors.traffic import Seen, traffic_of
from abtesting.stats.assignment import RAMP
from abtesting.stats.baseline import Together, effect_of, gain_by_default
from abtesting.stats.measures import Costs, Measure, chosen, in_digits
from abtesting.stats.power import ASSUMED_CORRELATION, Aim
from abtesting.stats.proposal import Option, Proposal, propose
from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.permissions import Actor
from monitoring.selectors import basis_of
from monitoring.stats.performance import headline
from registry.models import Version
from registry.selectors import in_production, model_located, version_numbered

SPLIT, STEP_HOURS, POWER = 0.1, 24.0, 0.8
MAX_METRICS = 10
_MOST_ALIKE = 0.95  # holdouts are small: closer than that is not believed


class Planning(NamedTuple):
    """`gain` is the smallest gain worth finding, `margin` how much worse B may be instead. `alike` says how both went
    on the rows that their holdouts share; without, a correlation of `correlation` is assumed."""

    model: str
    version_a: str
    version_b: str
    measure: Measure
    metrics: list[str]
    baseline: Known
    gain: float
    margin: float | None
    aim: Aim
    correlation: float
    alike: Together | None
    traffic: Seen
    proposal: Proposal

    @property
    def proposed(self) -> Option:
        return self.proposal.options[0]

    @property
    def words(self) -> list[str]:
        """All of it in sentences, what to do first."""
        return [line for line in (self.proposal.words, *self.reasons) if line]

    @property
    def reasons(self) -> list[str]:
        """What the figures rest on."""
        return [self._asked(), self.traffic.says, self._agreement(), self.proposal.left_out]

    def _asked(self) -> str:
        name, at = self.measure.name, f"{in_digits(self.baseline.found.value)} ({self.baseline.source})"
        if self.margin:
            question = f"Asked is whether B's {name} is worse than A's {at} by {self.margin:g} or more"
            return f"{question}, if B is {_as(self.gain)}."
        better = self.baseline.found.value + (self.gain if self.measure.greater_is_better else -self.gain)
        chance = f"found in {self.aim.power:.0%} of the cases"
        return (
            f"A's {name} is {at}. A change of {in_digits(abs(self.gain))}, such as to {in_digits(better)}, is {chance}."
        )

    def _agreement(self) -> str:
        if self.alike is None:
            return f"How alike both answer is not known before they share claims: {self.correlation:g} is assumed."
        ahead = f"B was {in_digits(abs(self.alike.gain))} {'better' if self.alike.gain >= 0 else 'worse'} there"
        return (
            f"On {self.alike.n:,} shared holdout rows their errors correlate by {self.alike.correlation:.2f}; {ahead}."
        )


def plan_experiment(
    actor: Actor,
    *,
    model_name: str,
    version_b: str = "",
    success_metrics: Sequence[str] = (),
    gain: float | None = None,
    margin: float | None = None,
    traffic_split: float | None = None,
    holdout: float = 0.0,
    power: float = POWER,
    costs: Costs | None = None,
    steps: Sequence[float] | None = None,
    step_hours: float | None = None,
) -> Planning:
    """For the version in production (A), on the first of the success metrics; with more of them and no margin the test
    is as strict as Holm is at its first step.

    Conflict `no_production_version`, `nothing_known` where A was never measured; Invalid names the field; NotFound.
    """
    a, b = _versions(actor, model_name, version_b)
    split = SPLIT if traffic_split is None else traffic_split
    for field, value, low in (("traffic_split", split, 0.0), ("holdout", holdout, -1e-12), ("power", power, 0.5)):
        _within(field, value, above=low, below=1)
    metrics = list(success_metrics) or [headline(basis_of(a).shape)[0]]
    measure = _measured(a, metrics, costs)
    baseline = known_of(a, measure)
    if baseline is None:
        raise Conflict(_unknown(a, measure), code="nothing_known")
    aim = _aim(power, margin, tests=len(metrics))
    wanted = _gain(measure, baseline, gain, aim.margin)
    alike = together_of(a, b, measure) if b is not None else None
    correlation = min(alike.correlation, _MOST_ALIKE) if alike else ASSUMED_CORRELATION
    traffic = traffic_of(a.model)
    try:
        proposal = propose(
            measure,
            effect_of(measure, baseline.found, wanted, correlation=correlation),
            traffic.expected(holdout=holdout),
            share_b=split,
            days_each=(step_hours or STEP_HOURS) / 24,
            steps=_steps(steps),
            aim=aim,
        )
    except ValueError as error:
        raise Invalid.on("gain", str(error)[:400], code="out_of_range") from error
    about = (a.model.name, a.number, b.number if b else "", measure, metrics, baseline, wanted, margin, aim)
    return Planning(*about, correlation, alike, traffic, proposal)


def _versions(actor: Actor, model_name: str, number: str) -> tuple[Version, Version | None]:
    model = model_located(actor, model_name)
    a = in_production(model)
    if a is None:
        message = f"{model} has no version in production to compare with; promote one first"
        raise Conflict(message, code="no_production_version")
    b = version_numbered(model, number) if number else None
    if b is not None and b.pk == a.pk:
        message = f"version_b must be another version than the one in production but got {b.number}"
        raise Invalid.on("version_b", message, code="same_version")
    return a, b


def plannable(version: Version, costs: Costs | None = None) -> list[str]:
    """What experiments on a version can be decided on."""
    return [*decidable(basis_of(version).shape, paired=False, costs=costs)]


def _measured(version: Version, names: Sequence[str], costs: Costs | None) -> Measure:
    if not 1 <= len(names) <= MAX_METRICS:
        message = f"success_metrics must be 1 to {MAX_METRICS} names but got {len(names)}"
        raise Invalid.on("success_metrics", message, code="invalid")
    known = decidable(basis_of(version).shape, paired=False, costs=costs)
    try:
        return chosen(names, known)[0]
    except ValueError as error:
        hint = "; give costs to decide on cost" if "cost" in names and costs is None else ""
        code = "unknown_metric" if set(names) - set(known) else "repeated_metric"
        raise Invalid.on("success_metrics", f"{error!s:.400}{hint}", code=code) from error


def _aim(power: float, margin: float | None, *, tests: int) -> Aim:
    if margin is None:
        return Aim(power=power, alpha=0.05 / tests)
    _within("margin", margin, above=0, below=math.inf)
    return Aim(power=power, margin=margin)


def _gain(measure: Measure, baseline: Known, gain: float | None, margin: float) -> float:
    """With a margin, B is thought to be as good as A unless somebody says otherwise."""
    if gain is None:
        return 0.0 if margin else gain_by_default(measure, baseline.found)
    if not math.isfinite(gain) or (gain == 0 and not margin):
        message = f"gain must be the smallest change worth finding, other than 0, but got {gain:g}"
        raise Invalid.on("gain", message, code="out_of_range")
    return gain


def _steps(steps: Sequence[float] | None) -> Sequence[float]:
    shares = RAMP if steps is None else steps
    if not all(0 < share <= 1 for share in shares) or not any(share < 1 for share in shares):
        message = f"steps must be shares above 0 and at most 1, one of them below 1, but got {list(shares)!r:.200}"
        raise Invalid.on("steps", message, code="out_of_range")
    return shares


def _within(field: str, value: float, *, above: float, below: float) -> None:
    if not above < value < below:
        limits = f"above {max(above, 0):g}" + (f" and below {below:g}" if below < math.inf else "")
        raise Invalid.on(field, f"{field} must be {limits} but got {value:g}", code="out_of_range")


def _unknown(version: Version, measure: Measure) -> str:
    return (
        f"nothing is known of the {measure.name} of {version}: no claim of the last 30 days was judged, and it was "
        f"registered without a holdout that says it; log labels, or plan for another metric"
    )


def _as(gain: float) -> str:
    return "as good as A" if gain == 0 else f"{in_digits(abs(gain))} {'better' if gain > 0 else 'worse'}"
