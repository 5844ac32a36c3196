"""Reports and alerts made by hand, as an analysis would keep them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from monitoring.analysis import report_of_window
from monitoring.models import Alert, Report
from monitoring.services import keep_report, raise_alerts
from monitoring.services.reports import Content, Window
from registry.models import Version

EVIDENCE = {
    "overall_score": 0.22,
    "features": [
        {"name": "visits", "test": "ks", "effect": 0.12, "q_value": 0.004, "drifted": True},
        {"name": "age", "test": "ks", "effect": 0.31, "q_value": 1e-12, "drifted": True},
    ],
}


def finding(rule: str = "drift", subject: str = "", **changes: Any) -> dict[str, Any]:
    summary = f"{rule} of {subject or 'the model'}"
    return {"rule": rule, "subject": subject, "summary": summary, "evidence": EVIDENCE, "raised": True, **changes}


def report_of(version: Version, *findings: dict[str, Any]) -> Report:
    now = timezone.now()
    return Report.objects.create(
        model=version.model,
        version=version,
        window_from=now - timedelta(hours=1),
        window_to=now,
        samples=1000,
        overall_score=0.22,
        severity="high",
        body=report_of_window(version, now - timedelta(hours=1), now).body,
        findings=list(findings),
    )


def raised(version: Version, *findings: dict[str, Any]) -> list[Alert]:
    """The alerts of a new report with the findings, or with one of drift."""
    with transaction.atomic():
        return raise_alerts(report_of(version, *(findings or [finding()])))


JUDGED: dict[str, Any] = {
    "samples": 1000,
    "drift": {"overall_score": 0.01},
    "performance": {"headline": {"metric": "f1_score", "n": 500}},
    "volume": {"reason": "1,000 rows after 1,000"},
}
SILENT: dict[str, Any] = {"samples": 3, "drift": {"overall_score": None}}


def scheduled(version: Version, hour: int, *findings: dict[str, Any], body: dict[str, Any] | None = None) -> Report:
    """What the hourly schedule keeps: its window ends `hour` hours after this one began."""
    end = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=hour)
    content = Content(1000, 0.01, "low", JUDGED if body is None else body, list(findings))
    return keep_report(version, content, Window(end - timedelta(days=1), end), explicit=False)
