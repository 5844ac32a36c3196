"""Whether an estimate is believed: what it said of past periods against what their labels said later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate
from operator import add
from typing import Literal, NamedTuple

from mlops_site.stats.profile import Profile
from monitoring.stats.estimation import Estimate, Estimator
from monitoring.stats.performance import Bounds, realised
from monitoring.stats.tally import Tally

LEAST_LABELLED, LEAST_OF_A_CLASS = 100, 15  # that a period is tested with
LONGEST = 14  # periods that are looked at together
LIMIT = 4.5  # standard errors, see benchmarks/estimation.py
TOLERATED = 0.02  # a smaller miss misleads nobody
RELATIVE = ("mae", "rmse")  # of which 5 % are tolerated

Status = Literal["trusted", "distrusted", "untested"]
Both = dict[str, tuple[Estimate, float]]  # metric -> as estimated, as realised


class Period(NamedTuple):
    """The answers of one version from `start` to before `end`."""

    start: datetime
    end: datetime
    tally: Tally
    profile: Profile | None = None

    def __add__(self, other: object) -> Period:
        """Both together."""
        if not isinstance(other, Period):
            return NotImplemented
        profile = None if self.profile is None or other.profile is None else self.profile + other.profile
        ends = min(self.start, other.start), max(self.end, other.end)
        return Period(*ends, self.tally + other.tally, profile)


class Past(NamedTuple):
    """What was expected of a period's labelled answers, and what came: `error` is realised minus estimated, `covered`
    whether the realised value lay in the band."""

    start: datetime
    end: datetime
    labelled: int
    estimated: float
    ci95: Bounds
    realised: float
    error: float
    covered: bool


class Trust(NamedTuple):
    """What is thought of the estimate of a metric, and why in a sentence; `past` with the oldest period first.
    `covered` is the share of them whose band held, `mean_error` the mean of their absolute errors."""

    metric: str
    status: Status
    reason: str
    past: list[Past]
    covered: float | None
    mean_error: float | None


def backtest(periods: Sequence[Period], by: Estimator) -> dict[str, Trust]:
    """Test the estimates on the labelled answers of periods in order of time, metric by metric; periods with too few
    labels are joined with the one after.

    One is distrusted where over the last 1, 2, ... or 14 of them together the realised value is at least 0.02 and 4.5
    standard errors away: at once after a large miss, later after a small one. Source of looking back over every
    stretch: Siegmund and Venkatraman (1995), Annals of Statistics 23.
    """
    joined = list(_joined(periods))
    tested = [(period, _both(period, by)) for period in joined]
    stretches = [_both(whole, by) for whole in accumulate(list(reversed(joined))[:LONGEST], add)]
    names = dict.fromkeys(name for _, both in tested for name in both)
    return {name: _judged(name, tested, stretches, by) for name in names}


def untested(metric: str, by: Estimator) -> Trust:
    """Of a metric that no label has tested yet."""
    reason = f"no labels to test it on yet; it rests on the {by.held_out:,} rows that were held out from training"
    return Trust(metric, "untested", reason, [], None, None)


def _judged(metric: str, tested: Sequence[tuple[Period, Both]], stretches: Sequence[Both], by: Estimator) -> Trust:
    past = [_past(period, *both[metric]) for period, both in tested if metric in both]
    if not past:
        return untested(metric, by)
    covered = sum(each.covered for each in past) / len(past)
    mean_error = sum(abs(each.error) for each in past) / len(past)
    worst = max(_misses(metric, stretches), key=lambda miss: miss.errors, default=None)
    if worst is not None and worst.errors >= LIMIT:
        return Trust(metric, "distrusted", worst.said(metric), past, covered, mean_error)
    return Trust(metric, "trusted", _trusted(past, metric), past, covered, mean_error)


class _Miss(NamedTuple):
    """Of the last `periods` together."""

    periods: int
    labelled: int
    estimated: float
    realised: float
    errors: float  # standard errors

    def said(self, metric: str) -> str:
        last = "the last period" if self.periods == 1 else f"the last {self.periods} periods"
        return (
            f"over {last} with labels ({self.labelled:,} of them) the realised {_words(metric)} was "
            f"{self.realised:.3f} where {self.estimated:.3f} was estimated, {self.errors:.1f} standard errors apart: "
            "the same scores no longer mean the same outcomes (concept drift)"
        )


def _joined(periods: Sequence[Period]) -> Iterator[Period]:
    waiting: Period | None = None
    for period in periods:
        whole = waiting + period if waiting else period
        waiting = None if _enough(whole.tally) else whole
        if waiting is None:
            yield whole


def _enough(tally: Tally) -> bool:
    if tally.judged < LEAST_LABELLED:
        return False
    return not tally.shape.is_binary or bool(tally.scores[1:].sum(axis=1).min() >= LEAST_OF_A_CLASS)


def _both(period: Period, by: Estimator) -> Both:
    """Each metric as it was expected of the labelled answers, and as it is realised of them."""
    values = {metric.name: metric.value for metric in realised(period.tally)}
    said = by.of_labelled(period.tally, period.profile)
    return {one.name: (one, values[one.name]) for one in said if one.name in values}


def _past(period: Period, said: Estimate, value: float) -> Past:
    covered = said.ci95[0] <= value <= said.ci95[1]
    return Past(period.start, period.end, said.n, said.value, said.ci95, value, value - said.value, covered)


def _misses(metric: str, stretches: Sequence[Both]) -> Iterator[_Miss]:
    """Those that are larger than tolerated, of the last period, the last two, and so on."""
    for count, both in enumerate(stretches, start=1):
        if metric in both:
            said, value = both[metric]
            if said.error > 0 and _is_large(said, value):
                yield _Miss(count, said.n, said.value, value, abs(value - said.value) / said.error)


def _is_large(said: Estimate, value: float) -> bool:
    """Of an error such as mae, 5 % of it; of a share, 0.02."""
    tolerated = 0.05 * abs(said.value) if said.name in RELATIVE else TOLERATED
    return abs(value - said.value) >= tolerated


def _trusted(past: Sequence[Past], metric: str) -> str:
    held = sum(each.covered for each in past)
    mean = sum(abs(each.error) for each in past) / len(past)
    periods = "the one period" if len(past) == 1 else f"the {len(past)} periods"
    held_in = f"{held} of {periods}" if len(past) > 1 else f"{periods}" if held else f"none of {periods}"
    return f"the realised {_words(metric)} lay in the band in {held_in} with labels; the mean error was {mean:.3f}"


def _words(metric: str) -> str:
    return {"roc_auc": "ROC AUC", "f1_score": "F1", "brier": "Brier score"}.get(metric, metric.replace("_", " "))
