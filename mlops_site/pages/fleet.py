"""Models side by side: how each is, what it is asked, what is open about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.conf import settings

from mlops_site.pages.traffic import NOTHING, Part, Traffic
from monitoring.models import Report
from monitoring.selectors.fleet import Open, latest_reports, open_alerts
from monitoring.stats.health import Health, Signs, health
from registry.choices import Stage
from registry.dashboards import reads
from registry.dashboards.reads import ModelLine
from registry.models import RegisteredModel, StageInterval


class FleetLine(NamedTuple):
    """A model of the fleet; without a production version only `line` says something. `value` is the headline metric
    as the latest report found it, else None; `change` is against the registered one. `traffic` is the model's, `health`
    that of the version in production."""

    line: ModelLine
    health: Health | None
    traffic: Traffic
    report: Report | None
    value: float | None
    change: float | None
    open: Open | None


def fleet(models: Iterable[RegisteredModel], traffic: Mapping[int, Traffic]) -> list[FleetLine]:
    """Of models as `registry.selectors.models` gives them, those that serve first; four queries."""
    lines = reads.model_lines(models)
    rows = StageInterval.objects.open().filter(model__in=[line.model for line in lines], stage=Stage.PRODUCTION)
    serving = dict(rows.values_list("model", "version"))
    reports, alerts = latest_reports(serving.values()), open_alerts([line.model for line in lines])
    found = [
        _line(line, serving.get(line.model.pk, 0), traffic.get(line.model.pk, NOTHING), reports, alerts)
        for line in lines
    ]
    return sorted(found, key=lambda each: (each.line.production is None, each.line.model.name))


def _line(
    line: ModelLine, version: int, traffic: Traffic, reports: Mapping[int, Report], alerts: Mapping[int, Open]
) -> FleetLine:
    opened, report = alerts.get(line.model.pk), reports.get(version)
    value, promised = _realised(line, report), line.headline.value if line.headline else None
    return FleetLine(
        line,
        health(_signs(traffic.of(version), report, opened)) if line.production else None,
        traffic,
        report,
        value,
        None if value is None or promised is None else value - promised,
        opened,
    )


def _realised(line: ModelLine, report: Report | None) -> float | None:
    """The headline metric in the latest report."""
    if report is None or line.headline is None:
        return None
    rows = (report.body.get("performance") or {}).get("realised") or []
    return next((row["value"] for row in rows if row["name"] == line.headline.name), None)


def _signs(part: Part, report: Report | None, opened: Open | None) -> Signs:
    drift = (report.body.get("drift") if report else None) or {}
    computed = drift.get("overall_score") is not None
    return Signs(
        rows=part.predictions,
        min_rows=settings.MIN_SAMPLES_FOR_MONITORING,
        labelled=part.labelled,
        open_alerts=opened.number if opened else 0,
        worst=opened.worst if opened else "",
        drifted=drift["drifted"] if computed else None,
        features=drift["total"] if computed else 0,
        severity=drift["severity"] if computed else "unknown",
    )
