"""What must not get worse while an experiment runs, judged by the harm that is certain, not by the harm of the day.

A guardrail compares B with A and has up to three limits, from mild to severe: from `warn` on people are told, from
`hold` on B's share must not grow and no verdict is given, from `roll_back` on all units go back to A at once. Each asks
that the lower bound of the always-valid interval of the harm lies beyond its limit, so that looking every few minutes
rolls nothing back by chance, however often the split changes; an estimate alone beyond the limit of `hold` or
`roll_back` is worth a warning. With too few units nothing is judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from abtesting.stats.comparison import LEAST
from abtesting.stats.inference import Unknown, compare_arms
from abtesting.stats.measures import Costs, Measure, cell_error, in_digits, value
from abtesting.stats.sequential import boundary
from abtesting.stats.tally import ArmTally
from mlops_site.stats.bins import Counts
from monitoring.stats.operations import quantile_ms

Level = Literal["ok", "warn", "hold", "roll_back"]

LEVELS: tuple[Level, ...] = ("ok", "warn", "hold", "roll_back")
ALPHA = 0.05  # both sides of an interval; harm is on one
LEVEL = 1 - ALPHA


class Limits(NamedTuple):
    """From where on what is done; None: never."""

    warn: float | None = None
    hold: float | None = None
    roll_back: float | None = None


class Harm(NamedTuple):
    """How much worse B is than A on one thing, in its unit. `certain` is the least that it is, whenever one looks; None
    where there are too few units to say. `said` is the comparison in words."""

    name: str
    estimate: float
    certain: float | None
    n: int
    said: str


class Guardrail(NamedTuple):
    """A guardrail judged."""

    name: str
    level: Level
    estimate: float
    certain: float | None
    reason: str


# Unless an experiment says otherwise: shares in points (0.02 is two in a hundred), latency as a share of A's.
DEFAULTS: Mapping[str, Limits] = {
    "error_rate": Limits(0.002, 0.01, 0.03),
    "latency": Limits(0.25, 1.0, 3.0),
    "override_rate": Limits(0.02, 0.05, 0.15),
    "alert_volume": Limits(0.02, 0.05, None),
    "fairness_gap": Limits(0.02, 0.05, 0.15),
    "cost": Limits(),
}
# By what people read a harm: points are hundredths of all answers.
UNITS: Mapping[str, str] = {**dict.fromkeys(DEFAULTS, "points"), "latency": "% of A's", "cost": "a claim"}


def in_unit(name: str, value: float) -> float:
    """A harm, or a limit of it, in the unit in which people read it.

    >>> in_unit("error_rate", 0.002), in_unit("latency", 0.25), in_unit("cost", 40.0)
    (0.2, 25.0, 40.0)
    """
    return value if name == "cost" else 100 * value


def level_of(epoch: int) -> float:
    """At which level the harm in an epoch is certain. Each epoch is judged by itself and the worst one counts: so that
    all together err as seldom as one would, epoch k has the share 1 / (k (k + 1)) of the errors, which add up to 1 over
    any number of epochs.

    >>> [round(level_of(epoch), 4) for epoch in (1, 2, 6)]
    [0.975, 0.9917, 0.9988]
    """
    return 1 - ALPHA / (epoch * (epoch + 1))


def judge(harm: Harm, limits: Limits) -> Guardrail:
    """The highest level whose limit the harm has passed. ValueError for limits that do not rise.

    >>> judge(Harm("error_rate", 0.05, 0.02, 900, "5 % against 0 %"), Limits(0.002, 0.01, 0.03)).level
    'hold'
    """
    given = [limit for limit in limits if limit is not None]
    if given != sorted(given):
        raise ValueError(f"limits of {harm.name} must rise from warn to roll_back but got {tuple(limits)}")
    passed: Level = "ok"
    for level, limit in zip(LEVELS[1:], limits, strict=True):
        if limit is not None and harm.certain is not None and harm.certain > limit:
            passed = level
    if (
        passed == "ok"
        and harm.certain is not None
        and any(limit is not None and harm.estimate > limit for limit in limits[1:])
    ):
        passed = "warn"
    return Guardrail(harm.name, passed, harm.estimate, harm.certain, _reason(harm, passed, limits))


def worst(judged: Iterable[Guardrail]) -> Level:
    """The most severe level; "ok" of none.

    >>> worst([])
    'ok'
    """
    return max((found.level for found in judged), key=LEVELS.index, default="ok")


def error_rate(a: ArmTally, b: ArmTally, *, level: float = LEVEL) -> Harm:
    """Share of B's answers that failed, less A's. What B failed on counts although A answered in its place."""
    failed = (a.answers.errors, a.units), (b.answers.errors, b.units)
    return _shares("error_rate", "of the answers failed", *failed, level)


def override_rate(a: ArmTally, b: ArmTally, *, level: float = LEVEL) -> Harm:
    """Share of the reviewed decisions that a person decided otherwise, B's less A's."""
    return _shares(
        "override_rate",
        "of the reviewed decisions were overridden",
        (a.overridden, a.reviewed),
        (b.overridden, b.reviewed),
        level,
    )


def alert_volume(a: ArmTally, b: ArmTally, *, level: float = LEVEL) -> Harm:
    """Share of the answers that are decided as positive, B's less A's: the work that B makes for people."""
    return _shares("alert_volume", "of the answers are alerts", (a.alerts, a.units), (b.alerts, b.units), level)


def cost(a: ArmTally, b: ArmTally, costs: Costs, *, level: float = LEVEL) -> Harm:
    """What wrong decisions cost by claim, B's less A's."""
    measure = Measure("cost", "cost", False, (0, costs.false_positive, costs.false_negative, 0))
    found = compare_arms(measure, a, b)
    if isinstance(found, Unknown):
        return Harm("cost", 0.0, None, b.judged, found.why)
    certain = found.difference - boundary(found.n, level=level) * found.se
    return Harm(
        "cost",
        found.difference,
        certain,
        found.n,
        f"{in_digits(found.b, 4)} a claim in B, {in_digits(found.a, 4)} in A",
    )


def latency(a: ArmTally, b: ArmTally, *, level: float = LEVEL) -> Harm:
    """How much longer B's 95th percentile is than A's, as a share of it.

    The bounds are order statistics, with no assumption about the distribution, between the edges of the bins.
    """
    at_a, at_b = (quantile_ms(arm.answers.latency, 0.95) for arm in (a, b))
    n = int(min(a.answers.latency.sum(), b.answers.latency.sum()))
    highest, lowest = _quantile_bound(a.answers.latency, 1, level), _quantile_bound(b.answers.latency, -1, level)
    if n < LEAST or not (at_a and at_b and highest and lowest):
        return Harm("latency", 0.0, None, n, f"too few: {n} timed answers in an arm")
    # Each bound errs to its own side, so that together they err less often than either.
    said = f"95 % answer within {in_digits(at_b)} ms in B, {in_digits(at_a)} ms in A"
    return Harm("latency", at_b / at_a - 1, lowest / highest - 1, n, said)


def fairness_gap(
    a: Mapping[str, ArmTally], b: Mapping[str, ArmTally], measure: Measure | None = None, *, level: float = LEVEL
) -> Harm:
    """How much further apart B's groups are than A's, at the most unequal pair of groups of B.

    Compared is the share of alerts, or a decision measure such as recall on the judged answers. Groups with fewer than
    30 units in either arm are left out. The certain harm allows for each pair of groups that could have been the worst.
    """
    rates = {group: (_rate(a[group], measure), _rate(b[group], measure)) for group in sorted(a.keys() & b.keys())}
    known = {group: (of_a, of_b) for group, (of_a, of_b) in rates.items() if of_a is not None and of_b is not None}
    if len(known) < 2:
        return Harm(
            "fairness_gap",
            0.0,
            None,
            0,
            f"too few: {len(known)} of the groups with {LEAST} units in both arms, of at least 2",
        )
    gaps = [(_gap(known, high, low), high, low) for high in known for low in known if high != low]
    (estimate, error, n), high, low = max(gaps, key=lambda gap: known[gap[1]][1].value - known[gap[2]][1].value)
    certain = estimate - boundary(n, level=1 - (1 - level) / len(gaps)) * error
    name = "alerts" if measure is None else measure.name
    sides = [f"{known[high][side].value:.1%} of {high} and {known[low][side].value:.1%} of {low}" for side in (1, 0)]
    return Harm("fairness_gap", estimate, certain, n, f"{name}: {sides[0]} in B, {sides[1]} in A")


class _Rate(NamedTuple):
    value: float
    error: float
    n: int


def _rate(arm: ArmTally, measure: Measure | None) -> _Rate | None:
    if measure is None:
        return _share(arm.alerts, arm.units) if arm.units >= LEAST else None
    found, below = value(measure, arm.cells), int(arm.cells[np.array(measure.bottom) > 0].sum())
    return None if found is None or below < LEAST else _Rate(found, cell_error(measure, arm.cells), below)


def _share(hits: int, n: int) -> _Rate:
    smooth = (hits + 0.5) / (n + 1)
    return _Rate(hits / n, math.sqrt(smooth * (1 - smooth) / n), n)


def _gap(known: Mapping[str, tuple[_Rate, _Rate]], high: str, low: str) -> tuple[float, float, int]:
    """B's distance between two groups beyond A's between the same two, whichever of them is higher there."""
    of_a, of_b = (known[high][side].value - known[low][side].value for side in (0, 1))
    parts = [known[group][side] for group in (high, low) for side in (0, 1)]
    return of_b - abs(of_a), math.sqrt(sum(part.error**2 for part in parts)), sum(part.n for part in parts)


def _shares(name: str, what: str, a: tuple[int, int], b: tuple[int, int], level: float = LEVEL) -> Harm:
    if min(a[1], b[1]) < LEAST:
        return Harm(name, 0.0, None, b[1], f"too few: {min(a[1], b[1])} in an arm, of at least {LEAST}")
    of_a, of_b = _share(*a), _share(*b)
    estimate, error, n = of_b.value - of_a.value, math.hypot(of_a.error, of_b.error), a[1] + b[1]
    certain = estimate - boundary(n, level=level) * error
    return Harm(name, estimate, certain, n, f"{of_b.value:.2%} {what} in B, {of_a.value:.2%} in A")


def _quantile_bound(counts: Counts, side: int, level: float) -> float | None:
    """The always-valid bound of the 95th percentile above or below it; None where no answer lies beyond it yet."""
    n = int(counts.sum())
    share = 0.95 + side * boundary(n, level=level) * math.sqrt(0.95 * 0.05 / n) if n else 1.0
    return quantile_ms(counts, max(share, 1 / n)) if share < 1 else None


def _reason(harm: Harm, level: Level, limits: Limits) -> str:
    if harm.certain is None or level == "ok":
        return harm.said
    limit = limits[LEVELS.index(level) - 1]
    done = {"warn": "worth a look", "hold": "held", "roll_back": "rolled back"}[level]
    if limit is None or harm.certain <= limit:
        return f"{harm.said}: {done}, not yet certain"
    least, bound = (in_digits(in_unit(harm.name, own)) for own in (harm.certain, limit))
    return f"{harm.said}: {done}, worse by at least {least} {UNITS[harm.name]}, which is above {bound}"
