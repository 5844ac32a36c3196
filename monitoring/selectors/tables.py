"""The numbers behind each figure of a dashboard, as the rows of a sheet."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from mlops_site.core.errors import Invalid, NotFound
from mlops_site.stats.distributions import distribution
from monitoring.selectors.dashboard import Dashboard
from monitoring.selectors.spells import spells
from monitoring.stats.scores import score_distribution


class Table(NamedTuple):
    """Its head, and rows of as many cells; None where something is not known."""

    head: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def table(found: Dashboard, figure: str, *, feature: str = "") -> Table:
    """Of one of FIGURES; `feature` names the one that is drawn. NotFound for another figure, Invalid for a feature
    that the version does not have."""
    make = FIGURES.get(figure)
    if make is None:
        raise NotFound(f"figure must be one of {', '.join(FIGURES)} but got {figure[:40]!r}", code="unknown_figure")
    return make(found, feature)


def _metrics(found: Dashboard, _: str) -> Table:
    head = ("metric", "value", "ci95_low", "ci95_high", "labelled", "before", "change", "at_registration")
    rows = [(m.name, m.value, *(m.ci95 or (None, None)), m.n, m.before, m.change, m.baseline) for m in found.metrics]
    return Table(head, rows)


def _performance(found: Dashboard, _: str) -> Table:
    line = found.series.performance
    columns = (line.times, line.values, line.lower, line.upper, found.series.labelled)
    head = ("from", line.name or "value", "ci95_low", "ci95_high", "labelled")
    return Table(head, list(zip(*columns, strict=True)))


def _volume(found: Dashboard, _: str) -> Table:
    volume = found.series.volume
    return Table(("from", "predictions", "failed"), list(zip(volume.times, volume.rows, volume.errors, strict=True)))


def _latency(found: Dashboard, _: str) -> Table:
    latency = found.series.latency
    columns = (latency.times, latency.p50_ms, latency.p95_ms)
    return Table(("from", "p50_ms", "p95_ms"), list(zip(*columns, strict=True)))


def _drift(found: Dashboard, _: str) -> Table:
    columns = ("name", "kind", "test", "statistic", "p_value", "q_value", "effect", "psi", "drifted", "note")
    of, weights = attrgetter(*columns), found.version.importance
    rows = [(*of(row), weights.get(row.name)) for row in found.ranked]
    return Table(("feature", *columns[1:], "importance"), rows)


def _feature(found: Dashboard, feature: str) -> Table:
    profile, reference = found.now.profile, found.reference
    if profile is None or reference is None or feature not in reference.bins.features:
        message = f"feature must be one of {found.version} with a reference but got {feature[:80]!r}"
        raise Invalid.on("feature", message, code="unknown_feature")
    rows: list[tuple[Any, ...]] = [*distribution(profile, reference, feature).rows]
    return Table((feature, "share_of_reference", "share_of_window"), rows)


def _scores(found: Dashboard, _: str) -> Table:
    scores = score_distribution(found.now.tally, found.past.tally)
    rows: list[tuple[Any, ...]] = [] if scores is None else [*scores.rows]
    return Table(("score", "share_of_window_before", "share_of_window"), rows)


def _predictions(found: Dashboard, _: str) -> Table:
    head = ("prediction", "share_of_reference", "share_of_window_before", "share_of_window")
    rows: list[tuple[Any, ...]] = [] if found.predicted is None else [*found.predicted.table]
    return Table(head, rows)


def _slices(found: Dashboard, _: str) -> Table:
    head = ("slice", "level", "predictions", "failed", "timed", "p50_ms", "p95_ms", "labelled", "reviewed")
    rows: list[tuple[Any, ...]] = []
    levels = [(by.name, level) for by in found.followed.slices for level in by.levels]
    names = list(dict.fromkeys(metric.name for _, level in levels for metric in level.metrics))
    for name, level in levels:
        values = {metric.name: metric.value for metric in level.metrics}
        counts = (level.rows, level.errors, *level.speed, level.labelled, level.decisions.reviewed)
        rows.append((name, level.name, *counts, level.decisions.rate, *(values.get(metric) for metric in names)))
    return Table((*head, "override_rate", *names), rows)


def _quality(found: Dashboard, _: str) -> Table:
    head = ("feature", "check", "share", "share_of_reference", "rows", "worse", "message")
    rows = [(q.feature, q.check, q.share, q.reference_share, q.rows, q.drifted, q.message) for q in found.quality]
    return Table(head, rows)


def _reports(found: Dashboard, _: str) -> Table:
    head = ("from", "to", "predictions", "overall_drift", "band", "findings")
    rows = [
        (r.window_from, r.window_to, r.samples, r.overall_score, r.severity, len(r.findings)) for r in found.reports
    ]
    return Table(head, rows)


def _alerts(found: Dashboard, _: str) -> Table:
    head = ("alert", "severity", "first_seen", "resolved", "summary")
    stood = spells(found.model, found.period)
    return Table(head, [(s.subject, s.severity, s.start, None if s.is_open else s.end, s.summary) for s in stood])


FIGURES: dict[str, Callable[[Dashboard, str], Table]] = {
    "metrics": _metrics,
    "performance": _performance,
    "volume": _volume,
    "latency": _latency,
    "drift": _drift,
    "feature": _feature,
    "scores": _scores,
    "predictions": _predictions,
    "slices": _slices,
    "quality": _quality,
    "reports": _reports,
    "alerts": _alerts,
}
