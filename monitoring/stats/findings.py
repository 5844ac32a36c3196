"""What of a report somebody should be told: one finding for each thing to look at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mlops_site.stats.compare import Drift, FeatureDrift
from monitoring.stats.fairness import Gap, Sliced
from monitoring.stats.limits import QualityFinding
from monitoring.stats.performance import Degradation
from monitoring.stats.triage import Ranked
from monitoring.stats.volume import Volume

LONGEST_SUMMARY = 300
SPIKE = "spike"  # a subject of its own: a silence must not be counted to the alert of a spike before it
_SHOWN = 3


class Judged(NamedTuple):
    """What a report is made of; None where it could not be judged."""

    drift: Drift | None
    quality: list[QualityFinding]
    volume: Volume | None
    degradation: Degradation | None
    slices: Sequence[Sliced] = ()
    triage: Sequence[Ranked] = ()
    expected: Degradation | None = None  # by an estimate that is believed


class Finding(NamedTuple):
    """`subject` is the metric or the feature, "" the whole model; `raised` says whether it is told now, and `held` why
    it is not."""

    rule: str
    subject: str
    summary: str
    evidence: dict[str, Any]
    raised: bool = True
    held: str = ""


def findings(judged: Judged) -> list[Finding]:
    """The worst first: performance, or where no label says that it fell what is expected of it, then gaps by slice,
    drift of all features as one, quality by feature, volume."""
    found = []
    if judged.degradation is not None and judged.degradation.degraded:
        found.append(_of_performance(judged.degradation))
    elif judged.expected is not None and judged.expected.degraded:
        found.append(_of_estimate(judged.expected))
    found += [_of_gaps(each, gaps) for each in judged.slices if (gaps := [gap for gap in each.gaps if gap.alarm])]
    if judged.drift is not None and (alarms := drift_alarms(judged.drift, judged.triage)):
        found.append(_of_drift(judged.drift, alarms, judged.triage))
    worse = [finding for finding in judged.quality if finding.drifted]
    for feature in dict.fromkeys(finding.feature for finding in worse):
        found.append(_of_quality(feature, [finding for finding in worse if finding.feature == feature]))
    if judged.volume is not None and judged.volume.drop:
        found.append(_finding("volume", "", f"prediction volume fell: {judged.volume.reason}", plain(judged.volume)))
    if judged.volume is not None and judged.volume.spike:
        found.append(_finding("volume", SPIKE, f"prediction volume rose: {judged.volume.reason}", plain(judged.volume)))
    return found


def _finding(rule: str, subject: str, summary: str, evidence: dict[str, Any]) -> Finding:
    return Finding(rule, subject, summary[:LONGEST_SUMMARY], evidence)


def _of_performance(found: Degradation) -> Finding:
    low, high = found.ci95 or (math.nan, math.nan)
    summary = (
        f"{found.metric} is {found.value:.4g} (95 % interval {low:.4g} to {high:.4g}, {found.n:,} labelled rows) "
        f"instead of {found.baseline:.4g}"
    )
    return _finding("performance", found.metric, summary, plain(found))


def _of_estimate(found: Degradation) -> Finding:
    low, high = found.ci95 or (math.nan, math.nan)
    summary = (
        f"{found.metric} is estimated at {found.value:.4g} before labels arrive (95 % band {low:.4g} to {high:.4g}, "
        f"{found.n:,} answers) instead of {found.baseline:.4g}"
    )
    return _finding("estimate", found.metric, summary, plain(found))


def drift_alarms(drift: Drift, ranked: Sequence[Ranked]) -> list[FeatureDrift]:
    """The drifted features that call for an alarm, in their order: all of them where nothing was ranked."""
    drifted = {feature.name: feature for feature in drift.features if feature.drifted}
    if not ranked:
        return sorted(drifted.values(), key=lambda feature: -(feature.effect or 0.0))
    return [drifted[row.name] for row in ranked if row.kind == "alarm"]


def _of_drift(drift: Drift, alarms: list[FeatureDrift], ranked: Sequence[Ranked]) -> Finding:
    names = ", ".join(f"{feature.name[:60]} ({feature.effect or 0.0:.2f})" for feature in alarms[:_SHOWN])
    rest = f" and {len(alarms) - _SHOWN} more" if len(alarms) > _SHOWN else ""
    harmless = drift.drifted - len(alarms)
    beside = f"; {harmless} more that the model hardly uses" if harmless else ""
    evidence = {
        "overall_score": drift.overall_score,
        "severity": drift.severity,
        "drifted": drift.drifted,
        "total": drift.total,
        "features": [feature_json(feature) for feature in alarms],
        "triage": [
            {"name": row.name, "rank": row.rank, "kind": row.kind, "importance": row.importance, "why": row.why}
            | {"loss": row.loss.loss if row.loss else None}
            for row in ranked
            if row.kind
        ],
    }
    summary = f"{len(alarms)} of {drift.total} features drifted: {names}{rest}{beside}"
    return _finding("drift", "", summary, evidence)


def _of_gaps(sliced: Sliced, gaps: list[Gap]) -> Finding:
    ranked = sorted(gaps, key=lambda gap: -abs(gap.difference))
    said = [
        f"{gap.measure.replace('_', ' ')} {gap.value:.2f} in {gap.level[:40]}, {gap.reference_value:.2f} in "
        f"{gap.reference[:40]}"
        for gap in ranked[:_SHOWN]
    ]
    rest = f" and {len(ranked) - _SHOWN} more" if len(ranked) > _SHOWN else ""
    evidence = {"slice": sliced.name, "reference": sliced.reference, "gaps": [_told(gap) for gap in ranked]}
    return _finding("fairness", sliced.name, f"gap by {sliced.name[:60]}: {'; '.join(said)}{rest}", evidence)


def _told(gap: Gap) -> dict[str, Any]:
    said = plain(gap)
    names = ("level", "value", "reference_value", "difference", "ci95", "n", "reference_n", "adjusted", "limit")
    return {"measure": gap.measure.replace("_", " "), **{name: said[name] for name in names}}


def _of_quality(feature: str, worse: list[QualityFinding]) -> Finding:
    summary = "; ".join(finding.message for finding in worse)
    return _finding("quality", feature, summary, {"feature": feature, "checks": [plain(each) for each in worse]})


def feature_json(feature: FeatureDrift) -> dict[str, Any]:
    """A feature's drift as JSON."""
    return _json(vars(feature).items())


def plain(row: NamedTuple) -> dict[str, Any]:
    """A named tuple as JSON: nothing infinite or undefined, which JSON does not know."""
    return _json(row._asdict().items())


def _json(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _known(value) for name, value in items}


def _known(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return [_known(each) for each in value] if isinstance(value, tuple) else value
