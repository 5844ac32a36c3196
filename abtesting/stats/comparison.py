"""What a comparison of B with A says, whatever method it comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from abtesting.stats import sequential
from abtesting.stats.measures import Measure
from abtesting.stats.sequential import Bounds

Z = NormalDist().inv_cdf(0.975)
LEAST = 30  # units below the line of the measure, of each arm: fewer make no normal estimate


class Comparison(NamedTuple):
    """B's measure less A's. `n` counts the judged units of both arms, or the judged pairs. `ci95` and `p_value` are
    right at a time fixed before the start, `sequential_ci` and `sequential_p` at every look. `chance` is the
    probability that B is better, given the data alone. `bootstrap95` stands beside `ci95`: of measures of decisions,
    and in pairs of brier, mae and rmse; None of other measures."""

    metric: str
    greater_is_better: bool
    a: float
    b: float
    difference: float
    se: float
    n: int
    ci95: Bounds
    sequential_ci: Bounds
    p_value: float
    sequential_p: float
    chance: float
    test: str
    tuned_at: float
    bootstrap95: Bounds | None = None

    @property
    def gain(self) -> float:
        """How much better B is, below 0 where it is worse."""
        return self.difference if self.greater_is_better else -self.difference

    @property
    def gain_ci(self) -> Bounds:
        """The always-valid interval of the gain."""
        low, high = self.sequential_ci
        return (low, high) if self.greater_is_better else (-high, -low)

    def p_beyond(self, margin: float) -> float:
        """Always-valid p-value of "B is worse by just `margin`"; of "both are alike" with a margin of 0."""
        return sequential.p_value((self.gain + margin) / self.se, self.n, tuned_at=self.tuned_at)


class Unknown(NamedTuple):
    """A measure that cannot be compared yet, and why."""

    metric: str
    why: str


class Found(NamedTuple):
    """What a method has to say; the rest follows from it."""

    a: float
    b: float
    se: float
    ci95: Bounds
    p_value: float
    test: str
    chance_greater: float | None = None


def finished(measure: Measure, found: Found, n: int, tuned_at: float) -> Comparison:
    """The comparison that an estimate from `n` units comes to."""
    return _finished(measure.name, measure.greater_is_better, found, n, tuned_at)


def compared(measure: Measure, method: Callable[[], Found | Unknown], n: int, tuned_at: float) -> Comparison | Unknown:
    """What a method comes to. Unknown, too, where values are so large or costs so small that doubles do not hold what
    follows: the other metrics and the guardrails must be judged all the same."""
    try:
        found = method()
        known = found if isinstance(found, Unknown) else finished(measure, found, n, tuned_at)
    except ArithmeticError:
        known = None
    if isinstance(known, Unknown):
        return known
    if known is None or not _is_sound(known):
        return Unknown(measure.name, "not computable: its values are too large, too small or all equal")
    return known


def _is_sound(found: Comparison) -> bool:
    parts = (found.a, found.b, found.se, found.p_value, found.sequential_p, *found.ci95, *found.sequential_ci)
    return found.se > 0 and all(math.isfinite(part) for part in parts)


def over_epochs(parts: Sequence[Comparison]) -> Comparison:
    """One comparison from those of several epochs, each with its own split, weighted by the inverse of their variances.

    The sums of the epochs must not be added instead: the arm that got most of its units in a bad week would look worse
    (Simpson's paradox). Epochs with too few units to compare are left out by whoever asks. ValueError for no parts or
    different metrics.
    """
    if len({part.metric for part in parts}) != 1:
        raise ValueError(f"parts must be of one metric but got {sorted({part.metric for part in parts})}")
    if len(parts) == 1:
        return parts[0]
    least = min(part.se for part in parts)
    weights = np.array([(least / part.se) ** 2 for part in parts])  # of a scale of their own: a square may not be held
    a, b = (float(np.average([part[place] for part in parts], weights=weights)) for place in (2, 3))
    se = float(least * weights.sum() ** -0.5)
    found = Found(a, b, se, (b - a - Z * se, b - a + Z * se), normal_p((b - a) / se), "weighted epochs")
    n = sum(part.n for part in parts)
    return _finished(parts[0].metric, parts[0].greater_is_better, found, n, parts[0].tuned_at)


def too_few(measure: Measure, n_a: float, n_b: float) -> Unknown | None:
    """Why nothing can be said about so many units of either arm; None if it can."""
    fewest = int(min(n_a, n_b))
    if fewest >= LEAST:
        return None
    return Unknown(measure.name, f"too few: {measure.name} is over {fewest} labelled units, of at least {LEAST}")


def normal_p(z: float) -> float:
    """Two-sided p-value of a standard normal."""
    return float(2 * scipy.special.ndtr(-abs(z)))


def _finished(metric: str, greater_is_better: bool, found: Found, n: int, tuned_at: float) -> Comparison:
    difference, se = found.b - found.a, found.se
    greater = float(scipy.special.ndtr(difference / se)) if found.chance_greater is None else found.chance_greater
    return Comparison(
        metric=metric,
        greater_is_better=greater_is_better,
        a=found.a,
        b=found.b,
        difference=difference,
        se=se,
        n=n,
        ci95=found.ci95,
        sequential_ci=sequential.interval(difference, se, n, tuned_at=tuned_at),
        p_value=found.p_value,
        sequential_p=sequential.p_value(difference / se, n, tuned_at=tuned_at),
        chance=greater if greater_is_better else 1 - greater,
        test=found.test,
        tuned_at=tuned_at,
    )
