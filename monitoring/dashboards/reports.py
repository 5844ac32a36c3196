"""Reports: the list, and one as it was written."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.paginator import Paginator

from mlops_site.core.dashboards import Page
from mlops_site.stats.judge import Q_LIMIT
from monitoring.choices import Rule
from monitoring.dashboards.followup import slice_tables
from monitoring.models import Report
from monitoring.selectors.reports import report_of, reports

PAGE_SIZE = 50


class ReportsPage(Page):
    template_name = "monitoring/reports.html"
    title = "Reports"

    def facts(self) -> dict[str, Any]:
        model = self.request.GET.get("model", "")
        rows = reports(self.actor, model=model).defer("body")
        return {"model": model, "page": Paginator(rows, PAGE_SIZE).get_page(self.request.GET.get("page"))}


class ReportPage(Page):
    template_name = "monitoring/report.html"

    def facts(self) -> dict[str, Any]:
        found = report_of(self.actor, self.kwargs["pk"])
        drift = found.body.get("drift") or {}
        rule = found.body.get("rule") or {"effect": settings.DRIFT_THRESHOLD, "q": Q_LIMIT}
        return {
            "title": f"Report on {found.version}",
            "report": found,
            "findings": [(finding, Rule(finding["rule"]).label) for finding in found.findings],
            "drift": drift,
            "drift_note": "; ".join(found.body.get("notes", [])),
            "samples": found.samples,
            "features": _features(found),
            "with_loss": any(row.get("loss") for row in found.body.get("triage", [])),
            "answers": (found.body.get("answers") or {}).get("rows", []),
            "answers_against": (found.body.get("answers") or {}).get("against", ""),
            "columns": found.body.get("columns") or {},
            "multivariate": found.body.get("multivariate") or {},
            "performance": found.body.get("performance") or {},
            "slice_tables": slice_tables((found.body.get("followup") or {}).get("slices") or []),
            "quality": found.body.get("quality") or [],
            "volume": found.body.get("volume") or {},
            "threshold": rule["effect"],
            "q_limit": rule["q"],
            "min_samples": settings.MIN_SAMPLES_FOR_MONITORING,
            "alerts": found.alerts.all(),
        }


def _features(report: Report) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each feature with its place in the triage, in the order of the triage; of a report from before there was one, the
    drifted ones first."""
    rows: list[dict[str, Any]] = (report.body.get("drift") or {}).get("features", [])
    placed = {row["name"]: row for row in report.body.get("triage") or []}
    if not placed:
        shares = report.version.importance
        placed = {row["name"]: {"rank": "", "kind": "", "importance": shares.get(row["name"])} for row in rows}
        return [(row, placed[row["name"]]) for row in sorted(rows, key=_by_effect)]
    return sorted(((row, placed[row["name"]]) for row in rows), key=lambda pair: int(pair[1]["rank"]))


def _by_effect(row: dict[str, Any]) -> tuple[bool, float]:
    return not row["drifted"], -(row["effect"] or 0.0)
