"""What a version's answers lead one to expect before their labels arrive, and whether that is believed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from mlops_site.stats.metrics import METRICS
from monitoring.choices import DAY, Span
from monitoring.models import Bucket
from monitoring.selectors.bases import Basis, basis_of
from monitoring.selectors.periods import Period as Window
from monitoring.selectors.spans import start_of
from monitoring.selectors.windows import Summed, sum_profiles
from monitoring.stats.estimation import NEARLY_ALL, Estimate
from monitoring.stats.performance import Metric, headline
from monitoring.stats.tally import Tally
from monitoring.stats.trust import Past, Period, Trust, backtest, untested
from registry.models import Version

LOOKED_BACK = timedelta(days=30)
LEAST_IN_STEP = 10


class Estimated(NamedTuple):
    """Metrics of a window's answers without their labels, in the registry's order, and what is thought of each
    estimate. Where there are none the note says why; without a `method` there never will be."""

    method: str
    metrics: list[Estimate]
    trust: dict[str, Trust]
    headline: str
    baseline: Mapping[str, float]  # at registration
    note: str

    @property
    def verdict(self) -> Trust | None:
        """What is thought of all: they rest on one calibration, so a miss of one is a miss of all. Else what is thought
        of the metric by which the model is judged."""
        missed = (trust for trust in self.trust.values() if trust.status == "distrusted")
        ranked = sorted(missed, key=lambda trust: trust.metric != self.headline)
        return ranked[0] if ranked else self.trust.get(self.headline)

    @property
    def is_believed(self) -> bool:
        return self.verdict is not None and self.verdict.status != "distrusted"

    def is_needed(self, coverage: float | None) -> bool:
        """Whether it may raise a finding: it is believed, and labels do not say it all."""
        return self.is_believed and (coverage or 0.0) < NEARLY_ALL

    def as_metrics(self) -> list[Metric]:
        """As realised ones are written."""
        return [Metric(one.name, one.value, one.ci95, one.n) for one in self.metrics]

    def to_json(self) -> dict[str, Any]:
        """For a report and the API; the past of the verdict's metric alone, which is the longest part."""
        verdict = self.verdict
        past = [] if verdict is None else [_past(each) for each in verdict.past]
        return {
            "method": self.method,
            "metrics": [self._metric(one) for one in self.metrics],
            "verdict": None if verdict is None else {**_trust(verdict), "past": past},
            "note": self.note,
        }

    def _metric(self, one: Estimate) -> dict[str, Any]:
        kept = _trust(self.trust[one.name])
        said = {"name": one.name, "value": one.value, "ci95": list(one.ci95), "n": one.n}
        return {**said, "baseline": self.baseline.get(one.name), "trust": kept}


def _trust(trust: Trust) -> dict[str, Any]:
    return {name: value for name, value in trust._asdict().items() if name != "past"}


def _past(past: Past) -> dict[str, Any]:
    ends = {"from": past.start.isoformat(), "to": past.end.isoformat()}
    kept = {name: value for name, value in past._asdict().items() if name not in ("start", "end")}
    return {**ends, **kept, "ci95": list(past.ci95)}


def estimated(version: Version, now: Summed) -> Estimated:
    """Of a window: one query beyond the version's basis, for the labels of the 30 days up to its end."""
    basis = basis_of(version)
    if basis.estimator is None:
        return Estimated("", [], {}, "", {}, basis.why_not)
    known = list(METRICS)
    found = sorted(basis.estimator.of(now.tally, now.profile), key=lambda one: known.index(one.name))
    if not found:
        return Estimated(basis.estimator.method, [], {}, "", {}, "the window has no answers to estimate from")
    days = periods(version, basis, start_of(now.end - LOOKED_BACK, Span.DAY), now.end, DAY)
    tested = backtest(days, basis.estimator)
    trust = {one.name: tested.get(one.name) or untested(one.name, basis.estimator) for one in found}
    first = next((name for name in headline(now.tally.shape) if name in trust), found[0].name)
    at_first = {name: said["value"] for name, said in version.metrics.items() if name in trust}
    return Estimated(basis.estimator.method, found, trust, first, at_first, "")


def expected_by_step(version: Version, period: Window, metric: str) -> list[Estimate | None]:
    """The estimate of a metric in each step of a window, None where it has none or under ten answers: one query beyond
    the basis."""
    basis = basis_of(version)
    if basis.estimator is None:
        return [None for _ in period.times]
    found = {}
    for step in periods(version, basis, period.start, period.end, period.step):
        said = basis.estimator.of(step.tally, step.profile) if step.tally.rows >= LEAST_IN_STEP else []
        found[step.start] = next((one for one in said if one.name == metric), None)
    return [found.get(at) for at in period.times]


def periods(version: Version, basis: Basis, start: datetime, end: datetime, step: timedelta) -> list[Period]:
    """The answers from `start` to before `end` by steps, the oldest first; steps without answers are left out."""
    rows = Bucket.objects.filter(version=version, started_at__gte=start, started_at__lt=end).order_by("started_at")
    profiled = basis.bins if basis.estimator is not None and basis.estimator.reads_profiles else None
    found: dict[datetime, list[Bucket]] = defaultdict(list)
    for bucket in rows.defer("profile") if profiled is None else rows:
        found[start + (bucket.started_at - start) // step * step].append(bucket)
    return [
        Period(
            at,
            min(at + step, end),
            Tally.sum_of_bytes((bytes(bucket.tally) for bucket in buckets), basis.shape),
            None if profiled is None else sum_profiles(buckets, profiled),
        )
        for at, buckets in sorted(found.items())
    ]
