"""A model's monitoring: what came in, what went out, what turned out to be true."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from mlops_site.core.dashboards import Page
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import metric
from mlops_site.stats.distributions import Distribution, distribution
from monitoring import plots
from monitoring.dashboards.followup import followed_facts
from monitoring.dashboards.retention import PARTS
from monitoring.selectors.dashboard import SHOWN, Dashboard, MetricNow, dashboard, version_shown
from monitoring.selectors.fleet import volume_by_day
from monitoring.selectors.periods import PRESETS, Period, period
from registry import selectors as registry
from registry.models import RegisteredModel

PICTURES = 3


class Picture(NamedTuple):
    """A feature on both sides, as numbers and as the JSON of a figure at a place of the page."""

    place: str
    shares: Distribution
    drifted: bool
    json: str


class MonitoringPage(Page):
    template_name = "monitoring/dashboard.html"

    def facts(self) -> dict[str, Any]:
        asked = self.request.GET
        model = registry.model_named(self.actor, self.kwargs["model"])
        version = version_shown(model, asked.get("version", ""))
        chosen, wrong = period_asked(asked.get("window", ""), asked.get("from", ""), asked.get("to", ""))
        found = dashboard(version, chosen, metric=asked.get("metric", "")) if version else None
        return {
            "title": f"Monitoring of {model}",
            "model": model,
            "version": version,
            "versions": [row.number for row in registry.versions(model)],
            "period": chosen,
            "wrong": wrong,
            "presets": [(name, preset.words.removeprefix("last ")) for name, preset in PRESETS.items()],
            "may_handle": self.actor.may(Action.ALERT_HANDLE, model.team_id),
            "may_keep": any(self.actor.may(right, model.team_id) for right in PARTS.values()),
            "figures": True,
            "asked": asked_of(model, chosen) if found and not found.now.rows else [],
            **(shown(found) if found else {}),
        }


def period_asked(window: str, start: str, end: str) -> tuple[Period, str]:
    """The window of a page's address, or the default one and what is wrong with what was asked."""
    try:
        return period(window="" if start else window, start=_moment("from", start), end=_moment("to", end)), ""
    except Invalid as error:
        return period(), error.detail


def _moment(field: str, text: str) -> datetime | None:
    """As a date and time field sends it: without a zone it is UTC."""
    try:
        found = parse_datetime(text) if text else None
    except ValueError:
        found = None
    if text and found is None:
        raise Invalid.on(field, f"{field} must be a date and time but got {text[:40]!r}", code="bad_window")
    return make_aware(found) if found is not None and is_naive(found) else found


def asked_of(model: RegisteredModel, chosen: Period) -> list[tuple[str, int]]:
    """(version, predictions) of the window, the newest version first."""
    found: dict[str, int] = defaultdict(int)
    for _, number, rows in volume_by_day(model, chosen.start, chosen.end):
        found[number] += rows
    return sorted(found.items(), key=lambda each: [int(part) for part in each[0].split(".")], reverse=True)


def shown(found: Dashboard) -> dict[str, Any]:
    """The facts of the template, figures drawn."""
    ends = found.by_effect
    charts, empty = found.series, found.now.rows == 0
    return {
        "board": found,
        "tiles": tiles(found),
        "features": list(zip(found.ranked, found.triage, strict=True)),
        "answers": found.answers[0],
        "answers_against": found.answers[1],
        "most": ends[0] if ends else None,
        "least": ends[-1] if len(ends) > 1 else None,
        "pictures": [] if empty else pictures(found),
        "threshold": found.rule.effect,
        "q_limit": found.rule.q,
        "min_samples": settings.MIN_SAMPLES_FOR_MONITORING,
        "estimate": found.estimated.to_json(),
        "performance_json": _performance(found),
        "volume_json": "" if empty and found.band is None else volume_json(found),
        "latency_json": plots.latency_figure(charts.latency).to_json() if any(charts.latency.p50_ms) else "",
        "drift_json": plots.drift_figure(charts.drift).to_json() if len(charts.drift.times) > 1 else "",
        "steps": steps(found),
        **(followed_facts(found) if not empty else {}),
    }


def volume_json(found: Dashboard) -> str:
    figure = plots.volume_figure(found.series.volume)
    return (plots.banded(figure, found.series.volume, found.band) if found.band else figure).to_json() or ""


def _performance(found: Dashboard) -> str:
    charts = found.series
    expected = expected_trend(found)
    if expected is None and all(value is None for value in charts.performance.values):
        return ""
    drawn = charts.performance._replace(name=metric(charts.performance.name))
    return str(plots.performance_figure(drawn, charts.events, expected).to_json())


def expected_trend(found: Dashboard) -> plots.Expected | None:
    """The estimates of the steps as their line takes them; None where there are none."""
    steps = [(None, None, None) if one is None else (one.value, *one.ci95) for one in found.expected]
    values, lower, upper = ([step[place] for step in steps] for place in range(3))
    believed = found.estimated.is_believed
    return plots.Expected(values, lower, upper, believed) if any(found.expected) else None


def tiles(found: Dashboard) -> list[MetricNow]:
    """The metrics of the seed's list first, those it does not name in the table below."""
    names = SHOWN.get(found.model.task_type, ())
    return sorted((row for row in found.metrics if row.name in names), key=lambda row: names.index(row.name))


def pictures(found: Dashboard) -> list[Picture]:
    """Of the features that drifted most; of the one with the largest effect where none has drifted."""
    chosen = [row for row in found.ranked if row.drifted][:PICTURES] or found.by_effect[:1]
    profile, reference = found.now.profile, found.reference
    if profile is None or reference is None:
        return []
    made = [(row.drifted, distribution(profile, reference, row.name)) for row in chosen]
    name = found.period.words
    return [
        Picture(f"feature{n}", shares, drifted, plots.distribution_figure(shares, window=name).to_json())
        for n, (drifted, shares) in enumerate(made)
    ]


class Step(NamedTuple):
    """A row of the table behind the charts."""

    at: datetime
    rows: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    labelled: int
    value: float | None
    ci95: list[float | None]
    expected: float | None
    band: list[float] | None


def steps(found: Dashboard) -> list[Step]:
    """The numbers of the charts over time, newest first, without the steps in which nothing was asked."""
    charts, band = found.series, found.band
    none: list[None] = [None] * len(charts.volume.times)
    columns: tuple[list[Any], ...] = (
        charts.volume.times,
        charts.volume.rows,
        charts.volume.errors,
        charts.latency.p50_ms,
        charts.latency.p95_ms,
        charts.labelled,
        charts.performance.values,
        [list(pair) for pair in zip(charts.performance.lower, charts.performance.upper, strict=True)],
        band.expected if band else none,
        [list(pair) for pair in zip(band.lower, band.upper, strict=True)] if band else none,
    )
    return [Step(*row) for row in zip(*columns, strict=True) if row[1]][::-1]
