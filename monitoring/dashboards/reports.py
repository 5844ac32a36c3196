"""Reports: the list, and one as it was written."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator

from mlops_site.core.dashboards import Page
from monitoring.selectors.board import report_shown
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
        return report_shown(report_of(self.actor, self.kwargs["pk"])) | {"figures": True}
