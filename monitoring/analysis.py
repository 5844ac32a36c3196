"""Reports: what a window of production says against the version's reference, its registration, and the window before.

Everything is read from sums, so a report costs the same at any traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from mlops_site.core import events, jobs
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action, Actor, require
from mlops_site.stats.columns import Kind
from mlops_site.stats.compare import Drift, drift_and_profiles
from mlops_site.stats.judge import too_few
from monitoring.choices import DAY, Occasion, Rule
from monitoring.models import FoldItem, MonitoringRun, Report
from monitoring.selectors import Summed, window_sum
from monitoring.selectors.alarms import rule_of, standard
from monitoring.selectors.drift import DriftFound, drift_found, multivariate_found
from monitoring.selectors.estimates import estimated
from monitoring.selectors.followup import followup, followup_json
from monitoring.selectors.limits import quality_of
from monitoring.selectors.predicted import Counted, predicted_json, predicted_of
from monitoring.selectors.reports import findings_before, has_report
from monitoring.selectors.rules import RuleInForce, governed, rules_of
from monitoring.selectors.volumes import volume_of
from monitoring.services import fold_all
from monitoring.services.backfill import windows_of
from monitoring.services.reports import Content, Window, keep_report
from monitoring.stats.findings import Finding, Judged, feature_json, findings, plain
from monitoring.stats.performance import Degradation, Metric, degradation
from monitoring.stats.persistence import AlarmRule, M, persistent
from monitoring.stats.quality import quality
from monitoring.stats.triage import triage
from registry.models import Version

if TYPE_CHECKING:
    import pandas as pd

FOLD_SECS = 2.0
HELD_BACK = ("drift", "fairness")  # what chance alone says now and then
NO_REFERENCE = "not computable: the version has no reference profile"


def execute(job: MonitoringRun) -> None:
    """The report that the job asks for, with its alerts, once, or those on the past; then the job's end."""
    fold_all(within_secs=FOLD_SECS)
    if job.every is not None:
        _report_afterwards(job)
        return
    settled = not FoldItem.objects.filter(waiting=False).exists()
    content = report_of_window(job.version, job.window_from, job.window_to, explicit=job.explicit, settled=settled)
    if job.explicit:
        whole = multivariate_found(job.version, job.window_from, job.window_to)
        content = content._replace(body={**content.body, "multivariate": whole})
    with jobs.fenced(job):
        window = Window(job.window_from, job.window_to)
        why: dict[str, Any] = {"explicit": job.explicit, "occasion": Occasion(job.occasion)}
        report = keep_report(job.version, content, window, created_by=job.requested_by, **why)
        jobs.finish(job, JobState.SUCCEEDED, report=report, step="done", progress=1.0)


def _report_afterwards(job: MonitoringRun) -> None:
    """A report on each of the job's past windows that has none, from old to new, each kept at once, so that another
    attempt goes on where this one ended."""
    every, length = job.every or DAY, job.length or DAY
    windows = list(windows_of(Window(job.window_from, job.window_to), every, length, now=job.created_at))
    for done, window in enumerate(windows, start=1):
        if not has_report(job.version, window.start, window.end):
            content = report_of_window(job.version, window.start, window.end, explicit=False)
            told = content._replace(findings=[{**finding, "raised": False} for finding in content.findings])
            with jobs.fenced(job):
                why: dict[str, Any] = {"explicit": False, "occasion": Occasion.BACKFILL}
                keep_report(job.version, told, window, created_by=job.requested_by, **why)
        jobs.beat(job)
        jobs.advance(job, step=f"window {done:,} of {len(windows):,}", progress=done / len(windows))
    with jobs.fenced(job):
        jobs.finish(job, JobState.SUCCEEDED, step="done", progress=1.0)


def report_of_window(
    version: Version, start: datetime, end: datetime, *, explicit: bool = True, settled: bool = True
) -> Content:
    """What the version's answers from `start` to before `end` say. An explicit report raises what it finds; another
    holds drift back until it has lasted (see `stats.persistence`)."""
    rules = rules_of(version.model)
    rule, now = rule_of(version, rules), window_sum(version, start, end)
    few, followed = too_few(now.rows, settings.MIN_SAMPLES_FOR_MONITORING), followup(version, now)
    found = drift_found(version, now, start, end, rule, followed.breakdown)
    metrics = followed.metrics
    checks, gone = quality_of(version, now, sampled=True)
    ahead = estimated(version, now)
    needed = ahead.is_needed(now.tally.coverage)
    judged = Judged(
        drift=found.drift,
        quality=checks,
        volume=volume_of(version.model, start, end, largest_drop=rules[Rule.VOLUME].threshold),
        degradation=_degradation(version, now, metrics, rules[Rule.PERFORMANCE]),
        expected=_degradation(version, now, ahead.as_metrics(), rules[Rule.PERFORMANCE]) if needed else None,
        slices=[] if few else followed.slices,
        triage=found.ranked,
    )
    notes = [few, "" if settled else "some answers are still being added up and are not in this report"]
    notes += [NO_REFERENCE if judged.drift is None else "", *found.notes, gone]
    body = {
        "window": {"from": start.isoformat(), "to": end.isoformat()},
        "covered": {"from": now.start.isoformat(), "to": now.end.isoformat()},
        "samples": now.rows,
        **_body(judged),
        "rule": rule._asdict(),
        **found.to_json(),
        "performance": _performance(version, now, metrics, judged) | {"estimated": ahead.to_json()},
        "predictions": predicted_json(predicted_of(version, Counted(now.tally, followed.breakdown))),
        "followup": followup_json(followed),
        "notes": [note for note in notes if note],
    }
    told = findings(judged)
    told = told if explicit else _held_back(version, end, told, rule)
    return _content(body, judged.drift, governed(rules, version, end, told, explicit=explicit))


def _degradation(version: Version, now: Summed, metrics: list[Metric], rule: RuleInForce) -> Degradation | None:
    return degradation(
        metrics,
        baseline_of(version),
        shape=now.tally.shape,
        threshold=rule.threshold or 0.0,
        min_samples=settings.MIN_SAMPLES_FOR_MONITORING,
        metric=rule.metric,
    )


def baseline_of(version: Version) -> dict[str, float]:
    """The metrics that the version was registered with."""
    values = {name: said.get("value") for name, said in version.metrics.items()}
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _held_back(version: Version, end: datetime, found: list[Finding], rule: AlarmRule) -> list[Finding]:
    """Drift, by the model's rule, and a gap between slices are told once they were there in enough of the last
    windows."""
    past = findings_before(version, end, max(rule.m, M) - 1)
    drifted = [any(finding["rule"] == "drift" for finding in each) for each in past]
    gaps = [{(finding["rule"], finding["subject"]) for finding in each} for each in past]

    def lasts(finding: Finding) -> bool:
        if finding.rule == "drift":
            return persistent([*drifted, True], k=rule.k, m=rule.m)
        return persistent([*((finding.rule, finding.subject) in each for each in gaps), True])

    return [finding._replace(raised=lasts(finding)) if finding.rule in HELD_BACK else finding for finding in found]


def _body(judged: Judged) -> dict[str, Any]:
    return {
        "drift": drift_json(judged.drift),
        "quality": [plain(finding) for finding in judged.quality],
        "volume": None if judged.volume is None else plain(judged.volume),
    }


def drift_json(found: Drift | None) -> dict[str, Any]:
    """The drift part of a report."""
    if found is None:
        none: dict[str, Any] = {"overall_score": None, "severity": "unknown", "drifted": 0, "total": 0, "features": []}
        return {**none, "note": NO_REFERENCE}
    return {
        "overall_score": found.overall_score,
        "severity": found.severity,
        "drifted": found.drifted,
        "total": found.total,
        "features": [feature_json(feature) for feature in found.features],
        "note": "",
    }


def _performance(version: Version, now: Summed, metrics: list[Metric], judged: Judged) -> dict[str, Any]:
    return {
        "realised": [plain(metric) for metric in metrics],
        "label_coverage": now.tally.coverage,
        "labelled": now.tally.labelled,
        "baseline": baseline_of(version),
        "headline": None if judged.degradation is None else plain(judged.degradation),
    }


def _content(body: dict[str, Any], found: Drift | None, told: list[Finding]) -> Content:
    score, severity = (None, "unknown") if found is None else (found.overall_score, found.severity)
    return Content(body["samples"], score, severity, body, [finding._asdict() for finding in told])


def report_of_frames(
    current: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    feature_columns: Sequence[str] | None = None,
    version: Version | None = None,
) -> Content:
    """What n rows of `current` say against m rows of `reference`, exactly; columns are `feature_columns`, else those
    of the version, else all. Nothing is kept: `keep_report_of_frames` does that."""
    kinds: dict[str, Kind] = {} if version is None else {i["name"]: i["kind"] for i in version.signature["inputs"]}
    names = list(kinds if feature_columns is None else feature_columns)
    if names:
        _check_known(names, current, reference)
        current, reference = (frame[[name for name in names if name in frame]] for frame in (current, reference))
    rules = rules_of(version.model) if version else None
    least, rule = settings.MIN_SAMPLES_FOR_MONITORING, rule_of(version, rules) if version else standard()
    found, *sides = drift_and_profiles(
        current,
        reference,
        salt="frames",
        kinds={name: kinds[name] for name in names} if kinds and kinds.keys() >= set(names) else None,
        threshold=rule.effect,
        q_limit=rule.q,
        importance=version.importance if version else None,
        min_samples=least,
    )
    few = too_few(len(current), least)
    checks = [] if few else quality(*sides)
    ranked = triage(found, version.importance if version else {})
    judged = Judged(found, checks, None, None, triage=ranked)
    silent: dict[str, Any] = {"realised": [], "estimated": None, "label_coverage": None, "labelled": 0}
    silent |= {"baseline": {}, "headline": None}
    window = {"from": None, "to": None}
    body = {
        "window": window,
        "samples": len(current),
        **_body(judged),
        "rule": rule._asdict(),
        **DriftFound(found, ranked).to_json(),
        "performance": silent,
        "notes": [few] if few else [],
    }
    told = findings(judged)
    if version and rules:
        told = governed(rules, version, timezone.now(), told, explicit=True)
    return _content(body, found, told)


def _check_known(names: Sequence[str], current: pd.DataFrame, reference: pd.DataFrame) -> None:
    absent = [name for name in names if name not in current and name not in reference]
    if absent:
        message = f"feature_columns must be in the data but got {absent[:5]}"
        raise Invalid.on("feature_columns", message, code="unknown_column")


def keep_report_of_frames(version: Version, content: Content, *, actor: Actor) -> Report:
    """Keep such a report under the version and raise its alerts. Forbidden to who may not monitor the model."""
    now = timezone.now()
    with events.atomic():
        require(actor, Action.MONITORING_RUN, version.model.team, subject=version.model.subject)
        return keep_report(version, content, Window(now, now), explicit=True, from_frames=True, created_by=actor.user)
