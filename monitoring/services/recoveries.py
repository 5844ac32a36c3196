"""The end of an alert that nothing finds any more: so many scheduled reports in a row that could have found it and did
not. Reports that somebody asked for raise and count, and end nothing: three of one minute are one."""

from __future__ import annotations

from django.conf import settings

from mlops_site.core import events
from monitoring.choices import EVENTS, NoData, Rule
from monitoring.models import Alert, Report
from monitoring.selectors.rules import RuleInForce, rules_of
from monitoring.services.alerts import SYSTEM, close, subject_key, unresolved
from monitoring.stats.judged import could_judge


def count_clean(report: Report, rules: dict[Rule, RuleInForce] | None = None) -> list[Alert]:
    """Count a kept report towards the end of every unresolved alert of its model that it could have found and did not,
    and resolve those that have been clean for long enough; these are answered. A finding that is held back is found
    all the same. Windows only count in order: one that ends no later than what was counted already says nothing new."""
    if report.explicit or report.from_frames:
        return []
    found = {(each["rule"], subject_key(str(each["subject"]))) for each in report.findings}
    ended = []
    with events.atomic():
        rows = list(unresolved(model=report.model_id).exclude(rule__in=EVENTS).select_related("report"))
        rules = (rules or rules_of(report.model)) if rows else {}
        for alert in rows:
            if _says_something(alert, report):
                is_found = (alert.rule, alert.subject_key) in found
                ended += _counted(alert, report, rules[Rule(alert.rule)], rules[Rule.NO_DATA], is_found=is_found)
    return ended


def _says_something(alert: Alert, report: Report) -> bool:
    last = max(filter(None, [alert.clean_to, alert.report.window_to if alert.report else None]), default=None)
    return last is None or report.window_to > last


def _counted(alert: Alert, report: Report, rule: RuleInForce, no_data: RuleInForce, *, is_found: bool) -> list[Alert]:
    judged = could_judge(alert.rule, report.body, min_samples=settings.MIN_SAMPLES_FOR_MONITORING)
    if not is_found and not judged and no_data.no_data != NoData.IGNORE:
        return []
    alert.clean_reports, alert.clean_to = (0 if is_found else alert.clean_reports + 1), report.window_to
    if rule.resolve_after is None or alert.clean_reports < rule.resolve_after:
        alert.save(update_fields=["clean_reports", "clean_to"])
        return []
    window = f"{report.window_from:%d %b %H:%M} to {report.window_to:%d %b %H:%M} UTC"
    times = "one scheduled report" if alert.clean_reports == 1 else f"{alert.clean_reports} scheduled reports in a row"
    close(alert, SYSTEM, f"Not found by {times}; the last is on {window}.", report=report)
    return [alert]
