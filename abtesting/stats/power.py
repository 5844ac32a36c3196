"""How many labels an experiment needs before it can tell, and how long they take, for each design.

All designs share one formula. An estimate of B's gain from N labelled claims has the variance V / N, with

    V = variance_a / (1 - w) + variance_b / w                            units split, w of them to B
    V = variance_a + variance_b - 2 correlation sqrt(variance_a variance_b)      the same claims for both (shadow)

where the variances are those of one claim's influence on the measure: p (1 - p) / base for a share p of a `base` share
of all claims (recall: the positive ones). A difference that lies `distance` from what is to be excluded is found with
the chance Phi(distance / sqrt(V / N) - z), so N = V ((z + z_power) / distance)^2. z is the normal quantile of a test at
one time, or the boundary of `sequential`, tuned at N: it needs about twice the labels at most, and mostly stops
before. Source: Chow, Shao, Wang and Lokhnygina (2017), Sample Size Calculations in Clinical Research, chapters 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from abtesting.stats.assignment import RAMP
from abtesting.stats.measures import Measure, influence
from abtesting.stats.sequential import TUNED_AT, boundary
from mlops_site.stats.scored import Floats

Design = Literal["ab", "shadow", "ramp"]

# Cautious: versions that learnt from overlapping data agree more. A few hundred claims that both scored say how much.
ASSUMED_CORRELATION = 0.5


class Aim(NamedTuple):
    """With which chance (`power`) a gain is to be found by a test that is wrong in `alpha` of the cases, to either side
    (`sides` 2) or to one. `margin` is how much worse B may be: 0 asks for a difference, more for non-inferiority."""

    power: float = 0.8
    alpha: float = 0.05
    sides: int = 2
    sequential: bool = True
    margin: float = 0.0

    @property
    def z(self) -> float:
        """Standard errors between the estimate and what is to be excluded."""
        if not (0 < self.power < 1 and 0 < self.alpha < 0.5 and self.sides in (1, 2) and self.margin >= 0):
            raise ValueError(f"aim must have 0 < power < 1, 0 < alpha < 0.5, 1 or 2 sides and a margin but got {self}")
        if self.sequential:
            return boundary(TUNED_AT, level=1 - 2 * self.alpha / self.sides)
        return float(scipy.special.ndtri(1 - self.alpha / self.sides))


AIM = Aim()


class Traffic(NamedTuple):
    """Claims a day, the share of them that gets a label, and how many days it takes."""

    units_per_day: float
    label_share: float = 1.0
    label_days: float = 0.0
    holdout: float = 0.0


class Plan(NamedTuple):
    """What a design needs: labelled claims, claims to be decided for them, and days until the last label (None without
    traffic). `words` says it in a sentence."""

    design: Design
    labels: int
    units: int
    days: float | None
    words: str


@dataclass(frozen=True)
class Effect:
    """A gain of B that is to be found (below 0: a loss), and the variances of one labelled claim's influence."""

    gain: float
    variance_a: float
    variance_b: float
    correlation: float = ASSUMED_CORRELATION

    def __post_init__(self) -> None:
        if not (self.variance_a > 0 and self.variance_b > 0 and math.isfinite(self.gain)):
            raise ValueError(f"effect must have variances above 0 and a gain but got {self}")
        if not -1 <= self.correlation <= 1:
            raise ValueError(f"correlation must be between -1 and 1 but got {self.correlation}")

    @classmethod
    def of_shares(cls, a: float, b: float, *, base: float = 1.0, correlation: float = ASSUMED_CORRELATION) -> Effect:
        """A share that goes from `a` to `b`, such as accuracy, or with `base` the prevalence recall.

        >>> Effect.of_shares(0.80, 0.75, base=0.05)
        Effect(gain=-0.050000000000000044, variance_a=3.1999999999999993, variance_b=3.75, correlation=0.5)
        """
        if not (0 < a < 1 and 0 < b < 1 and 0 < base <= 1):
            raise ValueError(f"shares must be between 0 and 1 and base above 0 but got {a}, {b} and {base}")
        return cls(b - a, a * (1 - a) / base, b * (1 - b) / base, correlation)

    @classmethod
    def of_means(cls, gain: float, sd_a: float, sd_b: float, *, correlation: float = ASSUMED_CORRELATION) -> Effect:
        """A mean that changes by `gain`, of values with these standard deviations."""
        return cls(gain, sd_a**2, sd_b**2, correlation)

    @classmethod
    def of_cells(cls, measure: Measure, a: Floats, b: Floats, *, correlation: float = ASSUMED_CORRELATION) -> Effect:
        """Any decision measure (precision, f1_score, cost) between two models' shares of (tp, fp, fn, tn); see
        `cells_at`."""
        values = [float(own @ np.array(measure.top)) / float(own @ np.array(measure.bottom)) for own in (a, b)]
        variances = [float(own @ np.square(influence(measure, own))) / float(own.sum()) for own in (a, b)]
        gain = values[1] - values[0] if measure.greater_is_better else values[0] - values[1]
        return cls(gain, variances[0], variances[1], correlation)

    def variance(self, share_b: float | None) -> float:
        """V of the formula above; of pairs where `share_b` is None."""
        if share_b is None:
            together = 2 * self.correlation * math.sqrt(self.variance_a * self.variance_b)
            return self.variance_a + self.variance_b - together
        if not 0 < share_b < 1:
            raise ValueError(f"share_b must be between 0 and 1 but got {share_b}")
        return self.variance_a / (1 - share_b) + self.variance_b / share_b

    def distance(self, aim: Aim) -> float:
        """How far the gain lies from what is to be excluded: no gain, or a loss of the margin."""
        distance = abs(self.gain + aim.margin)
        if distance < 1e-12:
            raise ValueError(
                f"gain must differ from {-aim.margin} but got {self.gain}: no number of labels tells them apart"
            )
        return distance


def cells_at(prevalence: float, recall: float, precision: float) -> Floats:
    """Shares of (tp, fp, fn, tn) of all claims.

    >>> cells_at(0.1, 0.8, 0.5).round(3).tolist()
    [0.08, 0.08, 0.02, 0.82]
    """
    hits = prevalence * recall
    cells = np.array([hits, hits * (1 - precision) / precision, prevalence - hits, 0.0])
    cells[3] = 1 - cells.sum()
    if not (0 < prevalence < 1 and 0 < recall <= 1 and 0 < precision <= 1) or cells[3] < 0:
        raise ValueError(
            f"prevalence, recall and precision must be shares that fit but got {prevalence}, {recall} and {precision}"
        )
    return cells


def correlation_of(a: float, b: float, disagreement: float) -> float:
    """Correlation of two models' hits from the share of claims (of the measure's base) that exactly one has right.

    >>> round(correlation_of(0.80, 0.75, 0.15), 3)
    0.577
    """
    if not abs(a - b) <= disagreement <= min(a + b, 2 - a - b):
        bounds = abs(a - b), min(a + b, 2 - a - b)
        raise ValueError(f"disagreement must be between {bounds[0]:.3g} and {bounds[1]:.3g} but got {disagreement}")
    together = (a * (1 - a) + b * (1 - b) - (disagreement - (a - b) ** 2)) / 2
    return together / math.sqrt(a * (1 - a) * b * (1 - b))


def labels_needed(effect: Effect, *, share_b: float | None, aim: Aim = AIM) -> int:
    """Labelled claims, of both arms together; pairs where `share_b` is None.

    >>> fixed = Aim(sides=1, sequential=False)
    >>> loss = Effect.of_shares(0.80, 0.75, base=0.05, correlation=correlation_of(0.80, 0.75, 0.15))
    >>> [labels_needed(loss, share_b=share, aim=fixed) for share in (0.1, 0.5, None)]
    [101532, 34376, 7296]
    """
    reach = (aim.z + float(scipy.special.ndtri(aim.power))) / effect.distance(aim)
    return max(1, math.ceil(effect.variance(share_b) * reach**2))


def power(effect: Effect, labels: int, *, share_b: float | None, aim: Aim = AIM) -> float:
    """Chance that so many labels find the effect, on the side where it is; the sequential boundary tuned at them."""
    if labels < 1:
        return 0.0
    return float(scipy.special.ndtr(effect.distance(aim) / math.sqrt(effect.variance(share_b) / labels) - aim.z))


def plan(effect: Effect, traffic: Traffic, *, share_b: float | None, aim: Aim = AIM) -> Plan:
    """An A/B test with a fixed split, or a paired shadow test where `share_b` is None."""
    labels = labels_needed(effect, share_b=share_b, aim=aim)
    daily = _labels_per_day(traffic)
    days = labels / daily + traffic.label_days if daily else None
    if share_b is None:
        return _plan("shadow", "A paired shadow test", labels, days, traffic)
    return _plan("ab", f"An A/B test with {share_b:.0%} of the units in B", labels, days, traffic)


def plan_ramp(
    effect: Effect,
    traffic: Traffic,
    *,
    days_each: float,
    steps: Sequence[float] = RAMP,
    aim: Aim = AIM,
) -> Plan:
    """A ramp whose steps take `days_each` days each; the last one below 100 % is held until the gain can be found.

    Each step is an epoch, whose estimates are weighted by the inverse of their variances, so that information adds up:
    a step with N labels adds N / V of its share. At 100 % there is nobody to compare with. ValueError without a step
    below 100 %.
    """
    compared = [step for step in steps if 0 < step < 1]
    if not compared or days_each <= 0:
        raise ValueError(f"ramp must have a step below 1 and days above 0 but got {tuple(steps)} and {days_each}")
    needed = ((aim.z + float(scipy.special.ndtri(aim.power))) / effect.distance(aim)) ** 2
    daily = _labels_per_day(traffic)
    # Without traffic the steps have no length in labels, so that all is left to the last one.
    each, labels = days_each * daily, 0.0
    for step in compared:
        takes = needed * effect.variance(step)
        spent = takes if step == compared[-1] else min(each, takes)
        labels, needed = labels + spent, needed - spent / effect.variance(step)
        if needed <= 1e-12:
            break
    days = labels / daily + traffic.label_days if daily else None
    return _plan(
        "ramp", f"A ramp over {', '.join(f'{step:.0%}' for step in steps)}", max(1, math.ceil(labels)), days, traffic
    )


def _labels_per_day(traffic: Traffic) -> float:
    if not (0 < traffic.label_share <= 1 and 0 <= traffic.holdout < 1):
        raise ValueError(f"traffic must have a label share in (0, 1] and a holdout in [0, 1) but got {traffic}")
    if min(traffic.units_per_day, traffic.label_days) < 0:
        raise ValueError(f"traffic must not be negative but got {traffic}")
    return traffic.units_per_day * traffic.label_share * (1 - traffic.holdout)


def _plan(design: Design, name: str, labels: int, days: float | None, traffic: Traffic) -> Plan:
    units = math.ceil(labels / traffic.label_share)
    if days is None:
        spent = "there is no traffic to say how long that takes"
    else:
        spent = f"about {_days(days)} at {traffic.units_per_day:,.0f} claims a day"
    return Plan(
        design, labels, units, days, f"{name} needs {labels:,} labelled claims, from {units:,} claims: {spent}."
    )


def _days(days: float) -> str:
    whole = max(1, math.ceil(days))
    return "1 day" if whole == 1 else f"{whole:,} days"
