"""What a dashboard's templates show, drawn: for the page, and for the file that is sent around."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings

from mlops_site.core.templatetags.steward import metric
from mlops_site.stats.distributions import Distribution, distribution
from mlops_site.stats.judge import Q_LIMIT
from mlops_site.stats.profile import Profile
from monitoring import plots
from monitoring.choices import Rule
from monitoring.models import Report
from monitoring.plots.spells import Spell, spells_figure
from monitoring.selectors.bases import basis_of
from monitoring.selectors.dashboard import SHOWN, Dashboard, MetricNow
from monitoring.selectors.followup_tables import followed_facts, slice_tables
from monitoring.selectors.predicted import drawn, predicted_json
from monitoring.selectors.spells import spells
from monitoring.selectors.windows import Summed, window_sum

PICTURES, MOST_PICTURES = 3, 40
WINDOW = "window"


class Picture(NamedTuple):
    """A feature on both sides, as numbers and as the JSON of a figure at a place of the page."""

    place: str
    shares: Distribution
    drifted: bool
    json: str


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


def shown(found: Dashboard, *, feature: str = "", most: int = PICTURES) -> dict[str, Any]:
    """The facts of the template, figures drawn; `feature` is drawn whether it drifted or not, up to `most` in all."""
    ends = found.by_effect
    charts, empty = found.series, found.now.rows == 0
    stood = spells(found.model, found.period)
    return {
        "board": found,
        "tiles": tiles(found),
        "features": list(zip(found.ranked, found.triage, strict=True)),
        "answers": found.answers[0],
        "answers_against": found.answers[1],
        "most": ends[0] if ends else None,
        "least": ends[-1] if len(ends) > 1 else None,
        "pictures": [] if empty else pictures(found, feature=feature, most=most),
        "threshold": found.rule.effect,
        "q_limit": found.rule.q,
        "min_samples": settings.MIN_SAMPLES_FOR_MONITORING,
        "estimate": found.estimated.to_json(),
        "performance_json": _performance(found),
        "volume_json": "" if empty and found.band is None else volume_json(found),
        "latency_json": plots.latency_figure(charts.latency).to_json() if any(charts.latency.p50_ms) else "",
        "drift_json": plots.drift_figure(charts.drift).to_json() if len(charts.drift.times) > 1 else "",
        "steps": steps(found),
        **predicted_facts(predicted_json(found.predicted)),
        "spells": stood,
        "spells_json": _spells(found, stood),
        **({} if empty else followed_facts(found)),
    }


def predicted_facts(said: Mapping[str, Any] | None) -> dict[str, Any]:
    """The facts of monitoring/predicted.html, from what a report or a dashboard tells."""
    if not said:
        return {"predicted": None}
    figure = plots.distribution_figure(drawn(said), window=WINDOW, before=said["against"])
    return {"predicted": said, "predicted_json": figure.to_json()}


def volume_json(found: Dashboard) -> str:
    figure = plots.volume_figure(found.series.volume)
    return (plots.banded(figure, found.series.volume, found.band) if found.band else figure).to_json() or ""


def _spells(found: Dashboard, stood: list[Spell]) -> str:
    return str(spells_figure(stood, start=found.period.start, end=found.period.end).to_json()) if stood else ""


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


def pictures(found: Dashboard, *, feature: str = "", most: int = PICTURES) -> list[Picture]:
    """The feature asked for, then those that drifted most; the one with the largest effect where none has drifted.
    With room for more than that, all others too."""
    asked = [row for row in found.ranked if row.name == feature]
    chosen = [row for row in found.ranked if row.drifted] or found.by_effect[:1]
    if most > PICTURES:
        chosen = found.ranked
    once = {row.name: row.drifted for row in [*asked, *chosen]}
    return _pictures(found.now, found.reference, list(once.items())[:most], found.period.words)


def _pictures(now: Summed, reference: Profile | None, rows: Iterable[tuple[str, bool]], window: str) -> list[Picture]:
    """Of (feature, drifted); of none where there is nothing to draw."""
    profile = now.profile
    if profile is None or reference is None or not now.rows:
        return []
    known = [
        (drifted, distribution(profile, reference, name)) for name, drifted in rows if name in reference.bins.features
    ]
    return [
        Picture(f"feature{n}", shares, drifted, plots.distribution_figure(shares, window=window).to_json())
        for n, (drifted, shares) in enumerate(known)
    ]


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


def report_shown(found: Report, *, most: int = PICTURES) -> dict[str, Any]:
    """The facts of a report's template: what it said, and its features drawn from the sums of its window as they are
    now."""
    drift, answers = found.body.get("drift") or {}, found.body.get("answers") or {}
    rows = sorted(drift.get("features", []), key=_by_effect)
    rule = found.body.get("rule") or {"effect": settings.DRIFT_THRESHOLD, "q": Q_LIMIT}
    return {
        "title": f"Report on {found.version}",
        "report": found,
        "findings": [(finding, Rule(finding["rule"]).label) for finding in found.findings],
        "drift": drift,
        "drift_note": "; ".join(found.body.get("notes", [])),
        "samples": found.samples,
        "features": _placed(found, rows),
        "with_loss": any(row.get("loss") for row in found.body.get("triage", [])),
        "answers": answers.get("rows", []),
        "answers_against": answers.get("against", ""),
        "columns": found.body.get("columns") or {},
        "multivariate": found.body.get("multivariate") or {},
        **predicted_facts(found.body.get("predictions")),
        "performance": found.body.get("performance") or {},
        "slice_tables": slice_tables((found.body.get("followup") or {}).get("slices") or []),
        "quality": found.body.get("quality") or [],
        "volume": found.body.get("volume") or {},
        "threshold": rule["effect"],
        "q_limit": rule["q"],
        "min_samples": settings.MIN_SAMPLES_FOR_MONITORING,
        "alerts": found.alerts.all(),
        "pictures": _report_pictures(found, rows, most),
    }


def _placed(report: Report, rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each feature with its place in the triage, in the order of the triage; of a report from before there was one, the
    drifted ones first."""
    placed = {row["name"]: row for row in report.body.get("triage") or []}
    if not placed:
        shares = report.version.importance
        return [(row, {"rank": "", "kind": "", "importance": shares.get(row["name"])}) for row in rows]
    return sorted(((row, placed[row["name"]]) for row in rows), key=lambda pair: int(pair[1]["rank"]))


def _by_effect(row: dict[str, Any]) -> tuple[bool, float]:
    return not row["drifted"], -(row["effect"] or 0.0)


def _report_pictures(found: Report, rows: list[dict[str, Any]], most: int) -> list[Picture]:
    """Of a report on logged answers; frames that came with a question are not kept."""
    chosen = [(row["name"], row["drifted"]) for row in rows if row["drifted"] or most > PICTURES]
    if found.from_frames or not chosen:
        return []
    now = window_sum(found.version, found.window_from, found.window_to)
    words = f"{found.window_from:%d %b %H:%M} to {found.window_to:%d %b %H:%M}"
    return _pictures(now, basis_of(found.version).reference, chosen[:most], words)
