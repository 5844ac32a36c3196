"""Which design to take, and why, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from abtesting.stats.assignment import RAMP
from abtesting.stats.measures import Measure
from abtesting.stats.power import Aim, Effect, Plan, Traffic, plan, plan_ramp

EVEN = 0.5
NAMES = {"shadow": "a paired shadow test", "ab": "an A/B test", "ramp": "a ramp"}


class Option(NamedTuple):
    """A design with what it needs. `share_b` is B's share of the answers: 0 of a shadow test, None of a ramp."""

    name: str
    share_b: float | None
    plan: Plan

    @property
    def takes(self) -> str:
        return length_of(self.plan.days)


class Proposal(NamedTuple):
    """Every design that can judge the measure, the cheapest first, and why that one; `left_out` says which cannot."""

    options: list[Option]
    words: str
    left_out: str


def propose(
    measure: Measure,
    effect: Effect,
    traffic: Traffic,
    *,
    share_b: float,
    days_each: float,
    steps: Sequence[float] = RAMP,
    aim: Aim,
) -> Proposal:
    """Of all designs. ValueError for figures that no design can be planned from."""
    can_pair = measure.kind != "ranking" and measure.name != "outcome"
    options = [Option(NAMES["shadow"], 0.0, plan(effect, traffic, share_b=None, aim=aim))] if can_pair else []
    for share in dict.fromkeys((share_b, EVEN)):
        own = plan(effect, traffic, share_b=share, aim=aim)
        options.append(Option(f"{NAMES['ab']} with {_share(share)} in B", share, own))
    options.append(Option(NAMES["ramp"], None, plan_ramp(effect, traffic, days_each=days_each, steps=steps, aim=aim)))
    options.sort(key=lambda option: option.plan.labels)
    left_out = "" if can_pair else _unpaired(measure)
    return Proposal(options, _why(options, share_b), left_out)


def length_of(days: float | None) -> str:
    """
    >>> length_of(0.4), length_of(13), length_of(22), length_of(270), length_of(1100), length_of(None)
    ('a day', '13 days', 'about 3 weeks', 'about 9 months', 'about 3 years', 'no traffic yet')
    """
    if days is None:
        return "no traffic yet"
    whole = max(1, math.ceil(days))
    if whole <= 14:
        return "a day" if whole == 1 else f"{whole} days"
    for limit, length, unit in ((60, 7, "weeks"), (730, 30.4, "months")):
        if whole < limit:
            return f"about {round(whole / length)} {unit}"
    return f"about {round(whole / 365):,} years" if whole < 36_500 else "more than a hundred years"


def _why(options: list[Option], share_b: float) -> str:
    """Against the split that was asked for, or the next best where that is the one."""
    first, *others = options
    other = next((option for option in others if option.share_b == share_b), others[0])
    times = other.plan.labels / first.plan.labels
    more = f"{times:.0f} times as many" if times >= 2 else f"{times - 1:.0%} more"
    named = other.name[0].upper() + other.name[1:]
    said = f"Take {first.name}: it needs {_needs(first)}. {named} needs {_needs(other)}, {more}"
    why = {
        "shadow": "Both score the same claims there, so that what is hard for both cancels out, and B answers nobody",
        "ab": "Where each arm gets half of the claims, neither keeps the other waiting",
        "ramp": "Its later steps give both arms many claims",
    }[first.plan.design]
    return f"{said}. {why}."


def _needs(option: Option) -> str:
    length = f", {option.takes}" if option.plan.days is not None else ""
    return f"{option.plan.labels:,} labelled claims{length}"


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _unpaired(measure: Measure) -> str:
    if measure.name == "outcome":
        return "A shadow test cannot judge outcome: of what B said silently nobody knows what it would have led to."
    return f"A shadow test cannot judge {measure.name}: sums of pairs hold no ranking."
