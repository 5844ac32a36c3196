"""A version's figures over time, as its charts show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from mlops_site.stats.judge import HIGH, MEDIUM
from monitoring.models import Alert, Report
from monitoring.plots import DriftTrend, Event, Latency, Trend, Volume
from monitoring.selectors.followup import costs_of
from monitoring.selectors.periods import Period
from monitoring.selectors.windows import Point, series
from monitoring.stats.followup import Overrides, overrides, quantile_secs
from monitoring.stats.layout import DECISIONS
from monitoring.stats.operations import quantile_ms
from monitoring.stats.performance import Metric, realised
from monitoring.stats.realised import BEST, all_realised
from registry.choices import Stage
from registry.models import StageInterval, Version


@dataclass(frozen=True)
class Series:
    """By steps of `step_secs`; drift by reports. `labelled` counts the labels behind each step's performance."""

    step_secs: int
    performance: Trend
    labelled: list[int]
    volume: Volume
    latency: Latency
    drift: DriftTrend
    events: list[Event]
    followed: list[Followed]


class Followed(NamedTuple):
    """What became of the answers of one step, by when they were given; None where there is nothing to tell."""

    at: datetime
    coverage: float | None
    lag_secs: float | None  # median from an answer to its label
    overrides: Overrides


def charts(
    version: Version, period: Period, *, metric: str, baseline: float | None, reports: Sequence[Report]
) -> Series:
    """Three queries beyond the reports given, newest first."""
    found = {point.at: point for point in series(version, period.start, period.end, period.step)}
    steps = [found.get(at) for at in period.times]
    values = [_metric(point, metric, costs_of(version)) for point in steps]
    tallies = [point.tally if point else None for point in steps]
    return Series(
        step_secs=int(period.step.total_seconds()),
        performance=Trend(
            metric,
            period.times,
            [value and value.value for value in values],
            [value.ci95[0] if value and value.ci95 else None for value in values],
            [value.ci95[1] if value and value.ci95 else None for value in values],
            baseline,
        ),
        labelled=[tally.labelled if tally else 0 for tally in tallies],
        volume=Volume(
            period.times,
            [tally.rows if tally else 0 for tally in tallies],
            [tally.errors if tally else 0 for tally in tallies],
            int(period.step.total_seconds()),
        ),
        latency=Latency(
            period.times,
            [quantile_ms(tally.latency, 0.5) if tally else None for tally in tallies],
            [quantile_ms(tally.latency, 0.95) if tally else None for tally in tallies],
        ),
        drift=_drift(reports),
        events=_events(version, period),
        followed=[_followed(at, point) for at, point in zip(period.times, steps, strict=True)],
    )


def _metric(point: Point | None, name: str, costs: Mapping[str, float] | None) -> Metric | None:
    """Of one step, where it has labels enough for a value."""
    if point is None or not point.tally.labelled:
        return None
    is_of_production = name in BEST or name == "gini"
    found = all_realised(point.tally, point.breakdown, costs) if is_of_production else realised(point.tally)
    return next((metric for metric in found if metric.name == name), None)


def _followed(at: datetime, point: Point | None) -> Followed:
    if point is None:
        return Followed(at, None, None, overrides(np.zeros(len(DECISIONS), dtype=np.int64)))
    breakdown = point.breakdown
    lag = quantile_secs(breakdown.part("received_lag"), 0.5)
    return Followed(at, point.tally.coverage, lag, overrides(breakdown.part("decisions")))


def _drift(reports: Sequence[Report]) -> DriftTrend:
    rows = [report for report in reversed(reports) if report.overall_score is not None]
    return DriftTrend([row.window_to for row in rows], [row.overall_score for row in rows], MEDIUM, HIGH)


def _events(version: Version, period: Period) -> list[Event]:
    """Promotions and alerts of the model in the window, oldest first."""
    inside = (period.start, period.end)
    moves = StageInterval.objects.filter(model=version.model_id, stage=Stage.PRODUCTION, started_at__range=inside)
    numbers = moves.select_related("version").only("started_at", "version__major", "version__minor", "version__patch")
    served = [Event(row.started_at, f"{row.version.number} serves") for row in numbers]
    alerts = Alert.objects.filter(model=version.model_id, first_seen_at__range=inside).only("first_seen_at", "rule")
    return sorted([*served, *(Event(alert.first_seen_at, f"alert: {alert.get_rule_display()}") for alert in alerts)])
