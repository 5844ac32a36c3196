"""An alarm budget turned into a rule: which q-value, which effect and how many of how many windows."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from mlops_site.stats.profile import Profile
from monitoring.stats.looks import Schedule
from monitoring.stats.months import EFFECTS, HORIZON, Watched, World, quiet_months, shifted_days
from monitoring.stats.persistence import AlarmRule, Hits, alarms, onsets
from monitoring.stats.traffic import Traffic

LEAST_BUDGET, MOST_BUDGET = 0.1, 30.0  # false alarms a month
LEAST_SHIFT, MOST_SHIFT = 0.05, 2.0  # standard deviations
Q_VALUES = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1)
PERSISTENCE = ((1, 1), (2, 2), (2, 3), (3, 4), (3, 6), (4, 6), (6, 8))
SHIFTS = (0.2, 0.5, 1.0)
RUNS = 60  # of each shift
FEWEST_MONTHS, MOST_MONTHS = 24, 120
CONFIDENCE = 0.95
LONGER = 1.1  # delays up to a tenth above the shortest are as good: then the rule with the largest effect is taken

Told = Callable[[str, float], None]  # what is done now, and the share of the work that is done


class Delay(NamedTuple):
    """Hours from a shift of `sd` standard deviations to its alarm in half of the cases, None where fewer are found in
    four days; `found` is the share that is."""

    sd: float
    hours: float | None
    found: float


class Judged(NamedTuple):
    """A rule in the simulation: false alarms a month, their upper 95 % bound, and delays."""

    rule: AlarmRule
    false_alarms: float
    upper: float
    delays: list[Delay]

    def to_json(self) -> dict[str, Any]:
        return {
            **self.rule._asdict(),
            "false_alarms_a_month": self.false_alarms,
            "upper_bound": self.upper,
            "delays": [delay._asdict() for delay in self.delays],
        }


class Calibrated(NamedTuple):
    """`chosen` keeps the budget unless `reached` is false: then no rule does, and it is the quietest."""

    chosen: Judged
    standard: Judged
    reached: bool
    months: int
    features: int
    skipped: int


class _Drawn(NamedTuple):
    quiet: Watched  # by month
    moved: dict[float, Watched]  # by shift, and by run


def months_needed(budget: float) -> int:
    """Months in which a rule at the budget makes two dozen false alarms, within bounds of the work."""
    return int(np.clip(math.ceil(24 / budget), FEWEST_MONTHS, MOST_MONTHS))


def calibrate(
    reference: Profile,
    traffic: Traffic,
    *,
    budget: float,
    smallest_shift: float,
    standard: AlarmRule,
    schedule: Schedule | None = None,
    seed: int = 0,
    months: int | None = None,
    runs: int = RUNS,
    told: Told = lambda step, share: None,
) -> Calibrated:
    """The rule that finds a shift of `smallest_shift` standard deviations soonest among those whose false alarms a
    month, at the upper 95 % bound of a Poisson count over the simulated months, are within `budget`.

    No rule asks for less than half the effect of that shift, so that less than half of it stays quiet however much
    traffic there is; of rules about as quick it is the one that asks for the largest effect. Looks in a row that are
    told are one alarm. The same arguments give the same rule.
    """
    world = World.of(reference, traffic, schedule or Schedule())
    count = months or months_needed(budget)
    shifts = sorted({*SHIFTS, smallest_shift})
    drawn = _draw(world, count, dict.fromkeys(shifts, runs), np.random.default_rng([seed, 28]), told)
    told("choosing", 0.95)
    least = scipy.special.erf(smallest_shift / 2 / math.sqrt(2)) / 2
    effects = [effect for effect in EFFECTS if effect >= least] or EFFECTS[-1:]
    rules = [AlarmRule(q, effect, *k_of_m) for q, effect, k_of_m in product(Q_VALUES, effects, PERSISTENCE)]
    judged = [_false_alarms(rule, drawn.quiet) for rule in rules]
    allowed = [each for each in judged if each.upper <= budget]
    if allowed:
        chosen = _soonest(allowed, drawn.moved, smallest_shift)
    else:
        chosen = min(judged, key=lambda each: (each.false_alarms, -each.rule.effect))
    both = [each._replace(delays=_delays(each.rule, drawn.moved)) for each in (chosen, _nearest(standard, drawn.quiet))]
    return Calibrated(both[0], both[1], bool(allowed), count, len(world.features), world.skipped)


def _draw(world: World, months: int, shifts: dict[float, int], rng: np.random.Generator, told: Told) -> _Drawn:
    total = months + sum(shifts.values()) / 7  # a run is about a seventh of a month
    quiet = []
    for done, month in enumerate(quiet_months(world, months, rng), start=1):
        quiet.append(month)
        told(f"{done} of {months} months without drift", 0.9 * done / total)
    moved = {}
    for sd, runs in shifts.items():
        moved[sd] = shifted_days(world, sd, rng, runs=runs)
        told(f"shifts of {sd:g} SD", 0.9 * (months + len(moved) * runs / 7) / total)
    return _Drawn(Watched.together(quiet), moved)


def told_by(rule: AlarmRule, seen: Watched) -> Hits:
    """Looks (spans, looks) at which the rule raises an alarm."""
    place = max(i for i, effect in enumerate(EFFECTS) if effect <= rule.effect + 1e-12)
    return alarms(seen.smallest_q[:, :, place] <= rule.q, k=rule.k, m=rule.m, scheduled=seen.scheduled)


def _false_alarms(rule: AlarmRule, quiet: Watched) -> Judged:
    count, months = int(onsets(told_by(rule, quiet)).sum()), len(quiet.hours)
    upper = float(scipy.stats.chi2.ppf(CONFIDENCE, 2 * count + 2) / 2)
    return Judged(rule, count / months, upper / months, [])


def _nearest(rule: AlarmRule, quiet: Watched) -> Judged:
    """Of a rule whose effect may lie between those that were drawn: at the next lower one, so that it is not made to
    look quieter than it is."""
    effect = max((each for each in EFFECTS if each <= rule.effect), default=EFFECTS[0])
    return _false_alarms(rule._replace(effect=effect), quiet)


def _soonest(allowed: list[Judged], moved: dict[float, Watched], smallest: float) -> Judged:
    for sd in sorted(each for each in moved if each >= smallest):
        found = [(_delay(each.rule, sd, moved[sd]), each) for each in allowed]
        known = [(delay.hours, each) for delay, each in found if delay.hours is not None]
        if known:
            best = min(hours for hours, _ in known)
            as_good = [each for hours, each in known if hours <= max(best * LONGER, best + 0.5)]
            return max(as_good, key=lambda each: (each.rule.effect, -each.rule.q, -each.upper))
    return min(allowed, key=lambda each: (each.rule.effect, each.upper))


def _delays(rule: AlarmRule, moved: dict[float, Watched]) -> list[Delay]:
    return [_delay(rule, sd, drawn) for sd, drawn in moved.items()]


def _delay(rule: AlarmRule, sd: float, moved: Watched) -> Delay:
    told = told_by(rule, moved) & (moved.hours > 0)
    hours = np.where(told, moved.hours, np.inf).min(axis=1)
    middle = float(np.median(np.minimum(hours, HORIZON + 1.0)))
    return Delay(sd, middle if middle <= HORIZON else None, float(np.isfinite(hours).mean()))
