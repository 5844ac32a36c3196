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
from mlops_site.stats.compare import Drift, drift, profile_drift
from mlops_site.stats.judge import too_few
from mlops_site.stats.profile import profile, reference_bins
from monitoring.choices import Rule
from monitoring.models import FoldItem, MonitoringRun, Report
from monitoring.selectors import Summed, basis_of, window_sum
from monitoring.selectors.reports import findings_before, rows_in
from monitoring.selectors.rules import governed, rules_of
from monitoring.services import fold_all
from monitoring.services.reports import Content, Window, keep_report
from monitoring.stats import persistence
from monitoring.stats.findings import Finding, Judged, feature_json, findings, plain
from monitoring.stats.performance import Metric, degradation, realised
from monitoring.stats.quality import quality
from monitoring.stats.volume import LARGEST_DROP, volume
from registry.models import Version

if TYPE_CHECKING:
    import pandas as pd

FOLD_SECS = 2.0
NO_REFERENCE = "not computable: the version has no reference profile"


def execute(job: MonitoringRun) -> None:
    """The report that the job asks for, with its alerts, once; then the job's end."""
    fold_all(within_secs=FOLD_SECS)
    settled = not FoldItem.objects.filter(waiting=False).exists()
    content = report_of_window(job.version, job.window_from, job.window_to, explicit=job.explicit, settled=settled)
    with jobs.fenced(job):
        window = Window(job.window_from, job.window_to)
        report = keep_report(job.version, content, window, explicit=job.explicit, created_by=job.requested_by)
        jobs.finish(job, JobState.SUCCEEDED, report=report, step="done", progress=1.0)


def report_of_window(
    version: Version, start: datetime, end: datetime, *, explicit: bool = True, settled: bool = True
) -> Content:
    """What the version's answers from `start` to before `end` say. An explicit report raises what it finds; another
    holds drift back until it has lasted (see `stats.persistence`)."""
    now, before = window_sum(version, start, end), rows_in(version, start - (end - start), start)
    metrics, few = realised(now.tally), too_few(now.rows, settings.MIN_SAMPLES_FOR_MONITORING)
    rules = rules_of(version.model)
    judged = Judged(
        drift=_drift(version, now, rules[Rule.DRIFT].threshold),
        quality=[] if few else _quality(version, now),
        volume=volume(
            now.rows,
            before,
            min_samples=settings.MIN_SAMPLES_FOR_MONITORING,
            largest_drop=rules[Rule.VOLUME].threshold or LARGEST_DROP,
        ),
        degradation=degradation(
            metrics,
            baseline_of(version),
            shape=now.tally.shape,
            threshold=rules[Rule.PERFORMANCE].threshold or 0.0,
            min_samples=settings.MIN_SAMPLES_FOR_MONITORING,
            metric=rules[Rule.PERFORMANCE].metric,
        ),
    )
    notes = [few, "" if settled else "some answers are still being added up and are not in this report"]
    notes.append(NO_REFERENCE if judged.drift is None else "")
    body = {
        "window": {"from": start.isoformat(), "to": end.isoformat()},
        "covered": {"from": now.start.isoformat(), "to": now.end.isoformat()},
        "samples": now.rows,
        **_body(judged),
        "performance": _performance(version, now, metrics, judged),
        "notes": [note for note in notes if note],
    }
    found = findings(judged)
    found = found if explicit else _held_back(version, end, found)
    return _content(body, judged.drift, governed(rules, version, end, found, explicit=explicit))


def _drift(version: Version, now: Summed, threshold: float | None) -> Drift | None:
    reference = basis_of(version).reference
    if reference is None or now.profile is None:
        return None
    return profile_drift(
        now.profile,
        reference,
        threshold=settings.DRIFT_THRESHOLD if threshold is None else threshold,
        importance=version.importance,
        min_samples=settings.MIN_SAMPLES_FOR_MONITORING,
    )


def _quality(version: Version, now: Summed) -> list[Any]:
    reference = basis_of(version).reference
    return [] if reference is None or now.profile is None else quality(now.profile, reference)


def baseline_of(version: Version) -> dict[str, float]:
    """The metrics that the version was registered with."""
    values = {name: said.get("value") for name, said in version.metrics.items()}
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _held_back(version: Version, end: datetime, found: list[Finding]) -> list[Finding]:
    """Drift is told once it was there in enough of the last windows."""
    past = findings_before(version, end, persistence.M - 1)
    drifted = [any(finding["rule"] == "drift" for finding in each) for each in past]
    lasts = persistence.persistent([*drifted, True])
    return [finding._replace(raised=lasts) if finding.rule == "drift" else finding for finding in found]


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
        "estimated": None,
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
    least, rules = settings.MIN_SAMPLES_FOR_MONITORING, rules_of(version.model) if version else None
    found = drift(
        current,
        reference,
        kinds={name: kinds[name] for name in names} if kinds and kinds.keys() >= set(names) else None,
        threshold=(rules[Rule.DRIFT].threshold if rules else None) or settings.DRIFT_THRESHOLD,
        importance=version.importance if version else None,
        min_samples=least,
    )
    few = too_few(len(current), least)
    bins = reference_bins(reference, {feature.name: feature.kind for feature in found.features}, salt="frames")
    checks = [] if few else quality(profile(current, bins), profile(reference, bins))
    judged = Judged(found, checks, None, None)
    silent: dict[str, Any] = {"realised": [], "estimated": None, "label_coverage": None, "labelled": 0}
    silent |= {"baseline": {}, "headline": None}
    window = {"from": None, "to": None}
    body = {
        "window": window,
        "samples": len(current),
        **_body(judged),
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
