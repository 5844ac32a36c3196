"""What a model's dashboard says of one version in one window: for the page and for the API alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings

from mlops_site.stats.compare import Drift, FeatureDrift
from mlops_site.stats.metrics import METRICS
from mlops_site.stats.profile import Profile
from monitoring.choices import UNRESOLVED, Severity, Span
from monitoring.models import Alert, Report
from monitoring.selectors.alarms import rule_of
from monitoring.selectors.bases import basis_of
from monitoring.selectors.charts import Series, charts
from monitoring.selectors.drift import answers_found, drift_of
from monitoring.selectors.estimates import Estimated, estimated, expected_by_step
from monitoring.selectors.followup import FollowUp, costs_of, followup
from monitoring.selectors.limits import quality_of
from monitoring.selectors.periods import Period
from monitoring.selectors.predicted import Counted, predicted_of
from monitoring.selectors.retention import misdated
from monitoring.selectors.spans import start_of
from monitoring.selectors.volumes import band_of, baseline_before, judged_volume
from monitoring.selectors.windows import Summed, window_sum
from monitoring.stats.answer_drift import AnswerDrift
from monitoring.stats.estimation import Estimate
from monitoring.stats.health import Health, Signs, health
from monitoring.stats.limits import QualityFinding
from monitoring.stats.operations import Operations, operations
from monitoring.stats.performance import Metric, degradation, headline, realised
from monitoring.stats.persistence import AlarmRule
from monitoring.stats.predicted import Predicted
from monitoring.stats.realised import BEST, all_realised, is_better
from monitoring.stats.triage import Ranked, triage
from monitoring.stats.volume import Band, Volume
from registry import selectors as registry
from registry.models import RegisteredModel, Version

SHOWN = {"classification": ("accuracy", "f1_score", "precision", "recall"), "regression": ("mae", "rmse", "r2")}
REPORTS, ALERTS = 60, 20


class MetricNow(NamedTuple):
    """A realised metric with its 95 % interval from `n` labelled answers, the same in the window before, and what it
    was at registration. `better` says which way it changed, None for not at all; `certain` that the two intervals
    are apart."""

    name: str
    value: float
    ci95: tuple[float, float] | None
    n: int
    before: float | None
    change: float | None
    better: bool | None
    certain: bool
    baseline: float | None


@dataclass(frozen=True)
class Dashboard:
    """`drift` is None with a `drift_note` where there is no reference. `before` sums the window before."""

    model: RegisteredModel
    version: Version
    period: Period
    health: Health
    metrics: list[MetricNow]
    drift: Drift | None
    drift_note: str
    rule: AlarmRule
    triage: list[Ranked]
    answers: tuple[list[AnswerDrift], str]  # and what they are compared with
    quality: list[QualityFinding]
    volume: Volume
    operations: Operations
    before: Operations
    now: Summed
    past: Summed
    alerts: list[Alert]
    reports: list[Report]
    series: Series
    followed: FollowUp
    predicted: Predicted | None
    band: Band | None
    estimated: Estimated
    expected: list[Estimate | None]  # of the metric that is drawn, by step
    misdated: int  # predictions of the window whose own time could not be right

    @property
    def ranked(self) -> list[FeatureDrift]:
        """Features in the order of the triage: what matters to this model first."""
        rows = {row.name: row for row in self.drift.features} if self.drift else {}
        return [rows[row.name] for row in self.triage]

    @property
    def by_effect(self) -> list[FeatureDrift]:
        """Features with an effect, the largest first."""
        return sorted((row for row in self.ranked if row.effect is not None), key=lambda row: -(row.effect or 0.0))

    @property
    def reference(self) -> Profile | None:
        """The profile of the version's training data."""
        return basis_of(self.version).reference

    @property
    def coverage(self) -> float | None:
        return self.now.tally.coverage


def version_shown(model: RegisteredModel, number: str = "") -> Version | None:
    """The version named; left out, the one in production, else the newest; None if the model has none yet. NotFound
    for a number that the model does not have."""
    if number:
        return registry.version_numbered(model, number)
    return registry.in_production(model) or registry.versions(model).first()


def dashboard(version: Version, period: Period, *, metric: str = "") -> Dashboard:
    """Of a version that the caller may see; `metric` is the one to draw over time. The number of queries does not
    depend on the rows, and their cost only on the buckets."""
    length = period.end - period.start
    now, past = window_sum(version, period.start, period.end), window_sum(version, period.start - length, period.start)
    followed = followup(version, now)
    before = Counted(past.tally, past.breakdown)
    earlier = all_realised(before.tally, before.breakdown, costs_of(version))
    metrics = compared(followed.metrics, earlier, version.metrics)
    drawn = drawn_metric(now, metric)
    rule = rule_of(version)
    drift, note = drift_now(now, version, rule)
    alerts, reports = _alerts(version.model), _reports(version, period)
    known = baseline_before(version.model, start_of(period.start, Span.HOUR))
    baseline = version.metrics.get(drawn, {}).get("value")
    return Dashboard(
        model=version.model,
        version=version,
        period=period,
        health=health(signs(now, version, drift, alerts)),
        metrics=metrics,
        drift=drift,
        drift_note=note,
        rule=rule,
        triage=triage(drift, version.importance) if drift else [],
        answers=answers_found(version, now, period.start, period.end, rule, followed.breakdown),
        quality=quality_now(now, version),
        volume=judged_volume(version.model, period.start, period.end, known),
        operations=operations(now.tally, period.secs),
        before=operations(past.tally, period.secs),
        now=now,
        past=past,
        alerts=alerts,
        reports=reports,
        series=charts(version, period, metric=drawn, baseline=baseline, reports=reports),
        followed=followed,
        predicted=predicted_of(version, Counted(now.tally, followed.breakdown), before),
        band=band_of(version, period, known),
        estimated=estimated(version, now),
        expected=expected_by_step(version, period, drawn),
        misdated=misdated(version.pk, period.start, period.end),
    )


def drift_now(now: Summed, version: Version, rule: AlarmRule) -> tuple[Drift | None, str]:
    """Of the window against the version's reference, or why there is none."""
    found = drift_of(version, now, rule)
    return found, "" if found else f"{version.number} was registered without a reference of its training data"


def quality_now(now: Summed, version: Version) -> list[QualityFinding]:
    """What fails its check, worse ones first; what needs rows is in reports alone."""
    return sorted(quality_of(version, now, sampled=False)[0], key=lambda row: (not row.drifted, -row.share))


def compared(now: list[Metric], past: list[Metric], registered: Mapping[str, Mapping[str, float]]) -> list[MetricNow]:
    """Each metric of the window beside the same of the window before and that at registration."""
    before = {metric.name: metric for metric in past}
    return [_compared(metric, before.get(metric.name), registered.get(metric.name, {}).get("value")) for metric in now]


def _compared(now: Metric, past: Metric | None, baseline: float | None) -> MetricNow:
    change = now.value - past.value if past is not None else None
    better = is_better(now.name, now.value, past.value) if past is not None else None
    return MetricNow(
        now.name,
        now.value,
        now.ci95,
        now.n,
        past.value if past else None,
        change,
        better,
        _apart(now.ci95, past.ci95 if past else None),
        baseline,
    )


def _apart(first: tuple[float, float] | None, second: tuple[float, float] | None) -> bool:
    return bool(first and second and (first[0] > second[1] or second[0] > first[1]))


def drawn_metric(now: Summed, asked: str) -> str:
    """The metric to draw over time: the one asked for if it is known, else the one by which the model is judged."""
    return asked if asked in METRICS or asked in BEST else headline(now.tally.shape)[0]


def signs(now: Summed, version: Version, drift: Drift | None, alerts: list[Alert]) -> Signs:
    computed = drift is not None and drift.overall_score is not None
    ranked = sorted((row for row in drift.features if row.drifted), key=lambda row: -(row.effect or 0)) if drift else []
    return Signs(
        rows=now.rows,
        min_rows=settings.MIN_SAMPLES_FOR_MONITORING,
        labelled=now.tally.labelled,
        open_alerts=len(alerts),
        worst=alerts[0].severity if alerts else "",
        drifted=drift.drifted if drift and computed else None,
        features=drift.total if drift else 0,
        severity=drift.severity if drift else "unknown",
        most_drifted=ranked[0].name if ranked else "",
        fallen=fallen(now, version),
    )


def fallen(now: Summed, version: Version) -> str:
    """The headline metric in words, where it is worse than at registration as an alert would say."""
    baseline = {name: found["value"] for name, found in version.metrics.items() if found.get("value") is not None}
    found = degradation(
        realised(now.tally),
        baseline,
        shape=now.tally.shape,
        threshold=settings.PERFORMANCE_DEGRADATION_THRESHOLD,
        min_samples=settings.MIN_SAMPLES_FOR_MONITORING,
    )
    if found is None or not found.degraded:
        return ""
    return f"{found.metric.replace('_', ' ')} {found.value:.3f} instead of {found.baseline:.3f}"


def _alerts(model: RegisteredModel) -> list[Alert]:
    """The unresolved ones, the worst first."""
    rows = Alert.objects.filter(model=model, status__in=UNRESOLVED).order_by("-last_seen_at")[:ALERTS]
    return sorted(rows, key=lambda alert: list(Severity).index(Severity(alert.severity)))


def _reports(version: Version, period: Period) -> list[Report]:
    """On logged rows, of windows that end in the period; the newest first."""
    inside = Report.objects.filter(version=version, from_frames=False, window_to__range=(period.start, period.end))
    return list(inside.defer("body").order_by("-window_to", "-created_at")[:REPORTS])
